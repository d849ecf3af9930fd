/*
 * V8 10.2 with its memory under a host.
 *
 * v8_pages.h and v8_blocks.h turn V8's allocators into calls of the host, v8_isolate.h keeps
 * V8 within the host's budget, v8_host.h has the host and its books.  Here scripts are run,
 * each in a context of its own and all in one isolate, whatever becomes of each: what one is
 * refused, or ended for, must not be missing for the next.
 */
#include "v8_host.h"
#include "v8_isolate.h"
#include "v8_story.h"

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>

namespace
{

constexpr size_t story_limit = 128 << 20;
constexpr size_t least_limit = 32 << 20;

using Arguments = v8::FunctionCallbackInfo<v8::Value>;

Host host; /* one for the process, as is V8 */

void print(const Arguments &arguments)
{
	for (int i = 0; i < arguments.Length(); i++) {
		v8::String::Utf8Value text(arguments.GetIsolate(), arguments[i]);

		printf("%s%s", i == 0 ? "" : " ", *text == nullptr ? "" : *text);
	}
	putchar('\n');
}

/* The bytes that the host has charged. */
void charged(const Arguments &arguments)
{
	arguments.GetReturnValue().Set(static_cast<double>(host.usage().cbCharged));
}

/* The host says that memory is low, and then that it is not. */
void low(const Arguments &)
{
	host.control->NotifyMemory(eMemoryAvailableLow);
	host.control->NotifyMemory(eMemoryAvailableNeutral);
}

v8::Local<v8::Context> make_context(v8::Isolate *isolate)
{
	v8::Local<v8::ObjectTemplate> global = v8::ObjectTemplate::New(isolate);

	global->Set(isolate, "print", v8::FunctionTemplate::New(isolate, print));
	global->Set(isolate, "charged", v8::FunctionTemplate::New(isolate, charged));
	global->Set(isolate, "low", v8::FunctionTemplate::New(isolate, low));
	return v8::Context::New(isolate, nullptr, global);
}

/* With what the script leaves to do for later; false if there is an exception. */
bool run_in(v8::Local<v8::Context> context, HostedIsolate &hosted, const char *name,
	    const std::string &source)
{
	v8::Isolate *isolate = hosted.isolate;
	v8::Local<v8::String> file, text;
	v8::Local<v8::Script> script;
	v8::Local<v8::Value> result;

	if (!v8::String::NewFromUtf8(isolate, name).ToLocal(&file) ||
	    !v8::String::NewFromUtf8(isolate, source.data(), v8::NewStringType::kNormal,
				     static_cast<int>(source.size()))
		     .ToLocal(&text))
		return false;
	v8::ScriptOrigin origin(isolate, file);
	if (!v8::Script::Compile(context, text, &origin).ToLocal(&script) ||
	    !script->Run(context).ToLocal(&result))
		return false;
	hosted.run_tasks();
	return true;
}

void tell(const char *name, v8::Local<v8::Context> context, const v8::TryCatch &caught)
{
	v8::Local<v8::Value> trace;

	if (!caught.StackTrace(context).ToLocal(&trace))
		trace = caught.Exception();
	fprintf(stderr, "v8: %s: %s\n", name,
		*v8::String::Utf8Value(context->GetIsolate(), trace));
}

enum class End { good, exception, heap };

End run(HostedIsolate &hosted, const char *name, const std::string &source)
{
	bool good;

	{
		v8::Isolate::Scope inside(hosted.isolate);
		v8::HandleScope handles(hosted.isolate);
		v8::Local<v8::Context> context = make_context(hosted.isolate);
		v8::Context::Scope scope(context);
		v8::TryCatch caught(hosted.isolate);

		good = run_in(context, hosted, name, source);
		if (caught.HasCaught() && !caught.HasTerminated())
			tell(name, context, caught);
	}
	if (hosted.recover())
		return good ? End::good : End::exception;
	printf("  %-34s terminated: V8's heap was at its limit\n", name);
	return End::heap;
}

bool run_files(HostedIsolate &hosted, char **names)
{
	bool good = true;

	for (; *names != nullptr; names++) {
		std::ifstream file(*names);
		std::string source{ std::istreambuf_iterator<char>(file), {} };

		if (file.is_open()) {
			good &= run(hosted, *names, source) == End::good;
		} else {
			fprintf(stderr, "v8: %s: cannot be read\n", *names);
			good = false;
		}
	}
	return good;
}

bool run_story(HostedIsolate &hosted)
{
	bool good = true;

	for (const auto &part : story) {
		End end = run(hosted, part.name, story_words + std::string(part.source));

		good &= end == (part.ends ? End::heap : End::good);
	}
	return good;
}

int usage(int status)
{
	fputs("usage: v8 [--limit MIB] [SCRIPT...]\n"
	      "Runs JavaScript, or built-in scripts, in a V8 with its memory under a "
	      "host,\n"
	      "and prints what the host saw.  The limit is 32 at least.  Scripts have\n"
	      "print(), charged() and low(), with which the host says that memory is "
	      "low.\n"
	      "The exit status is 1 after an exception, or if a script outgrew V8's "
	      "heap;\n"
	      "3 if one of the numbers turned out untrue; 4 if V8 could not go on.\n",
	      status == 0 ? stdout : stderr);
	return status;
}

/* Takes a leading `--limit MIB` away; false if there is anything else that is wrong. */
bool take_limit(char **&arguments, size_t &limit)
{
	char *end;

	if (*arguments == nullptr || **arguments != '-')
		return true;
	if (strcmp(*arguments, "--limit") != 0 || arguments[1] == nullptr)
		return false;
	limit = strtoul(arguments[1], &end, 10) << 20;
	if (*end != '\0' || limit < least_limit || limit >> 50 != 0)
		return false;
	arguments += 2;
	return *arguments == nullptr || **arguments != '-';
}

} /* namespace */

int main(int argc, char **argv)
{
	size_t limit = 0;
	bool good;
	HRESULT hr;

	if (argc > 1 && strcmp(argv[1], "--help") == 0)
		return usage(0);
	if (!take_limit(++argv, limit))
		return usage(2);
	if (*argv == nullptr && limit == 0)
		limit = story_limit;
	hr = host.open(limit);
	if (FAILED(hr)) {
		fprintf(stderr, "v8: no host: %s\n", HostMemResultName(hr));
		return 1;
	}

	HostedIsolate hosted(&host, limit);

	printf("V8 %s, its memory from hostmem %s\n\n", v8::V8::GetVersion(),
	       HostMemVersion());
	good = *argv == nullptr ? run_story(hosted) : run_files(hosted, argv);
	host.report();
	hosted.end();
	if (!host.close(hosted.pages, hosted.buffers, hosted.zones))
		return 3;
	return good ? 0 : 1;
}
