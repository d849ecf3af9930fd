/*
 * What the OpenJDK sample calls of a virtual machine: by the tables of JNI and JVMTI, since
 * libjvm.so is loaded by hand and not linked.
 *
 * An exception that Java code leaves is described on stderr and ends the call; what the call
 * returns then is -1.
 */
#ifndef OPENJDK_CALLS_H
#define OPENJDK_CALLS_H

#include <dlfcn.h>
#include <jni.h>
#include <jvmti.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct openjdk {
	jint(JNICALL *create)(JavaVM **machine, void **java, void *arguments);
	JavaVM *machine;
	JNIEnv *java; /* of the thread that has made it */
};

typedef void(JNICALL *openjdk_exhausted)(jvmtiEnv *agent, JNIEnv *java, jint flags,
					 const void *reserved, const char *description);

/* Loads the library for good, and makes no virtual machine; false: dlerror says why. */
static inline bool openjdk_load(struct openjdk *self, const char *path)
{
	void *library = dlopen(path, RTLD_NOW);
	void *create = library == NULL ? NULL : dlsym(library, "JNI_CreateJavaVM");

	/* C has no cast from an object's address to a function's. */
	memcpy(&self->create, &create, sizeof(create));
	return create != NULL;
}

/* The folder that this program is in, as an option; false if nobody knows. */
static inline bool openjdk_class_path(char *out, size_t size)
{
	char program[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);
	char *slash;

	if (length < 0)
		return false;
	program[length] = '\0';
	slash = strrchr(program, '/');
	return slash != NULL && snprintf(out, size, "-Djava.class.path=%.*s",
					 (int)(slash - program), program) < (int)size;
}

static inline bool openjdk_start(struct openjdk *self, JavaVMOption *options, int count)
{
	JavaVMInitArgs arguments = { .version = JNI_VERSION_10,
				     .nOptions = count,
				     .options = options };
	void *java = NULL;

	if (self->create(&self->machine, &java, &arguments) != JNI_OK)
		return false;
	self->java = java;
	return true;
}

/* Has the function called whenever the virtual machine has no memory for the program. */
static inline bool openjdk_listen(const struct openjdk *self, openjdk_exhausted function)
{
	jvmtiCapabilities wanted;
	jvmtiEventCallbacks callbacks;
	jvmtiEnv *agent;
	void *face = NULL;

	if ((*self->machine)->GetEnv(self->machine, &face, JVMTI_VERSION_11) != JNI_OK)
		return false;
	agent = face;
	memset(&wanted, 0, sizeof(wanted));
	wanted.can_generate_resource_exhaustion_heap_events = 1;
	memset(&callbacks, 0, sizeof(callbacks));
	callbacks.ResourceExhausted = function;
	return (*agent)->AddCapabilities(agent, &wanted) == JVMTI_ERROR_NONE &&
	       (*agent)->SetEventCallbacks(agent, &callbacks, sizeof(callbacks)) ==
		       JVMTI_ERROR_NONE &&
	       (*agent)->SetEventNotificationMode(agent, JVMTI_ENABLE,
						  JVMTI_EVENT_RESOURCE_EXHAUSTED,
						  NULL) == JVMTI_ERROR_NONE;
}

/* Whether Java code went well until now; if not, says why on stderr. */
static inline bool openjdk_went_well(const struct openjdk *self)
{
	if (!(*self->java)->ExceptionCheck(self->java))
		return true;
	fflush(stdout);
	(*self->java)->ExceptionDescribe(self->java);
	(*self->java)->ExceptionClear(self->java);
	return false;
}

/* A static method of the built-in program; `signature` is that of JNI. */
static inline jmethodID openjdk_find(const struct openjdk *self, jclass *story,
				     const char *method, const char *signature)
{
	JNIEnv *java = self->java;

	fflush(stdout);
	*story = (*java)->FindClass(java, "Story");
	return *story == NULL
		       ? NULL
		       : (*java)->GetStaticMethodID(java, *story, method, signature);
}

static inline int openjdk_call_int(const struct openjdk *self, const char *method,
				   int argument)
{
	jclass story;
	jmethodID id = openjdk_find(self, &story, method, "(I)I");
	jint result = -1;

	if (id != NULL)
		result = (*self->java)
				 ->CallStaticIntMethod(self->java, story, id,
						       (jint)argument);
	return openjdk_went_well(self) ? result : -1;
}

static inline long long openjdk_call_long(const struct openjdk *self, const char *method)
{
	jclass story;
	jmethodID id = openjdk_find(self, &story, method, "()J");
	jlong result = -1;

	if (id != NULL)
		result = (*self->java)->CallStaticLongMethod(self->java, story, id);
	return openjdk_went_well(self) ? result : -1;
}

static inline jobjectArray openjdk_texts(const struct openjdk *self, char **texts,
					 int count)
{
	JNIEnv *java = self->java;
	jclass type = (*java)->FindClass(java, "java/lang/String");
	jobjectArray array = type == NULL
				     ? NULL
				     : (*java)->NewObjectArray(java, count, type, NULL);

	for (int i = 0; array != NULL && i < count; i++) {
		jstring text = (*java)->NewStringUTF(java, texts[i]);

		if (text == NULL)
			return NULL;
		(*java)->SetObjectArrayElement(java, array, i, text);
		(*java)->DeleteLocalRef(java, text);
	}
	return array;
}

/* Runs the main method of a class; false after an exception that nobody has caught. */
static inline bool openjdk_main(const struct openjdk *self, const char *name, char **argv,
				int argc)
{
	JNIEnv *java = self->java;
	jclass type = (*java)->FindClass(java, name);
	jmethodID id = type == NULL ? NULL
				    : (*java)->GetStaticMethodID(java, type, "main",
								 "([Ljava/lang/"
								 "String;)V");
	jobjectArray texts = id == NULL ? NULL : openjdk_texts(self, argv, argc);

	if (texts != NULL)
		(*java)->CallStaticVoidMethod(java, type, id, texts);
	return openjdk_went_well(self);
}

/* Waits for the program's other threads; the virtual machine ends for good. */
static inline bool openjdk_end(struct openjdk *self)
{
	return (*self->machine)->DestroyJavaVM(self->machine) == JNI_OK;
}

#endif /* OPENJDK_CALLS_H */
