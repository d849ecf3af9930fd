/*
 * What CoreCLR offers to programs that embed it, since it comes without a header: the
 * functions of coreclrhost.h that the sample needs.  Results are HRESULTs.
 */
#ifndef CORECLR_FUNCTIONS_H
#define CORECLR_FUNCTIONS_H

#include <dlfcn.h>
#include <stdbool.h>
#include <string.h>

struct coreclr {
	int (*initialize)(const char *program, const char *name, int count,
			  const char *const *keys, const char *const *values,
			  void **runtime, unsigned *domain);
	int (*create_delegate)(void *runtime, unsigned domain, const char *assembly,
			       const char *type, const char *method, void **out);
	int (*execute_assembly)(void *runtime, unsigned domain, int argc,
				const char *const *argv, const char *path,
				unsigned *status);
	int (*shut_down)(void *runtime, unsigned domain);
};

/* C has no cast from an object's address to a function's. */
static inline bool coreclr_find(void *library, const char *name, void *function)
{
	void *address = dlsym(library, name);

	memcpy(function, &address, sizeof(address));
	return address != NULL;
}

/* Loads the library for good, and does not start the runtime; false: dlerror says why. */
static inline bool coreclr_load(struct coreclr *coreclr, const char *path)
{
	void *library = dlopen(path, RTLD_LAZY);

	return library != NULL &&
	       coreclr_find(library, "coreclr_initialize", &coreclr->initialize) &&
	       coreclr_find(library, "coreclr_create_delegate",
			    &coreclr->create_delegate) &&
	       coreclr_find(library, "coreclr_execute_assembly",
			    &coreclr->execute_assembly) &&
	       coreclr_find(library, "coreclr_shutdown", &coreclr->shut_down);
}

#endif /* CORECLR_FUNCTIONS_H */
