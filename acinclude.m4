# HM_WARNINGS(FLAGS)
# Sets WARNINGS to those of FLAGS that the C compiler knows, and CXX_WARNINGS likewise
# for the C++ compiler.
AC_DEFUN([HM_WARNINGS],
[AC_LANG_PUSH([C])
_HM_ACCEPTED_FLAGS([WARNINGS], [$CC], [$1])
AC_LANG_POP([C])
CXX_WARNINGS=
AS_IF([test "$hm_cv_cxx17" = yes],
	[AC_LANG_PUSH([C++])
	 _HM_ACCEPTED_FLAGS([CXX_WARNINGS], [$CXX], [$1])
	 AC_LANG_POP([C++])])
AC_SUBST([WARNINGS])
AC_SUBST([CXX_WARNINGS])])

# _HM_ACCEPTED_FLAGS(VARIABLE, COMPILER, FLAGS)
# One flag at a time, with -Werror: clang only warns about a flag it does not know.
AC_DEFUN([_HM_ACCEPTED_FLAGS],
[AC_MSG_CHECKING([which warnings $2 knows])
hm_save_flags=$[]_AC_LANG_PREFIX[]FLAGS
$1=
for hm_flag in $3; do
	_AC_LANG_PREFIX[]FLAGS="$hm_save_flags -Werror $hm_flag"
	AC_COMPILE_IFELSE([AC_LANG_PROGRAM()], [AS_VAR_APPEND([$1], [" $hm_flag"])])
done
_AC_LANG_PREFIX[]FLAGS=$hm_save_flags
AC_MSG_RESULT([$$1])])

# HM_SANITIZERS(LIST)
# Sets SANITIZERS to the flags that compile and link with the sanitizers of LIST, which
# may be "no".  A finding ends the program, so that no test passes over one.
AC_DEFUN([HM_SANITIZERS],
[SANITIZERS=
AS_IF([test "x$1" != xno],
	[AC_MSG_CHECKING([for sanitizers $1])
	 hm_save_CFLAGS=$CFLAGS
	 SANITIZERS="-fsanitize=$1 -fno-sanitize-recover=all -fno-omit-frame-pointer"
	 CFLAGS="$CFLAGS $SANITIZERS"
	 AC_LINK_IFELSE([AC_LANG_PROGRAM()],
		[AC_MSG_RESULT([yes])],
		[AC_MSG_RESULT([no])
		 AC_MSG_ERROR([$CC does not link with -fsanitize=$1])])
	 CFLAGS=$hm_save_CFLAGS])
AC_SUBST([SANITIZERS])])
