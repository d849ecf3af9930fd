#ifndef HOSTMEM_OS_COMPILER_H
#define HOSTMEM_OS_COMPILER_H

/*
 * What is said to the compiler alone: gcc's words, which clang has, too.
 *
 * HM_QUICK names a function of a few instructions on a path where a call, and the registers
 * saved for it, would cost as much again; HM_SLOW one that is not to be made a part of
 * such a path, and HM_LIKELY is for its branches.  HM_HIDDEN is for variables that it
 * reads: a shared library finds its own without a table.  HM_KEEP has an address worked out
 * once, where the compiler would do it anew for each field behind it.
 */
#define HM_QUICK static inline __attribute__((always_inline))
#define HM_SLOW static __attribute__((noinline))
#define HM_KEEP(pointer) __asm__("" : "+r"(pointer))
#define HM_HIDDEN __attribute__((visibility("hidden")))
#define HM_LIKELY(condition) __builtin_expect(!!(condition), 1)

#endif
