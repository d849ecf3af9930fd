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

# HM_CORECLR(DIR)
# Sets hm_coreclr to the folder of the CoreCLR 2.x that is in DIR, and MCS to what compiles C#;
# to no if DIR is.  Who names a folder is told what it lacks.
AC_DEFUN([HM_CORECLR],
[hm_coreclr=no
AS_IF([test "x$1" != xno],
	[AC_MSG_CHECKING([for a CoreCLR 2.x in $1])
	 for hm_folder in "$1" "$1"/shared/Microsoft.NETCore.App/2.*; do
		AS_IF([test -f "$hm_folder/libcoreclr.so" &&
		       test -f "$hm_folder/System.Private.CoreLib.dll"],
		      [hm_coreclr=$(CDPATH='' cd -- "$hm_folder" && pwd)])
	 done
	 AC_MSG_RESULT([$hm_coreclr])
	 AS_IF([test "$hm_coreclr" = no],
	       [AC_MSG_ERROR([no libcoreclr.so in $1 or in shared/Microsoft.NETCore.App/2.* there: name the folder of a CoreCLR 2.x, or leave --with-coreclr away])])
	 AC_CHECK_PROG([MCS], [mcs], [mcs])
	 AS_IF([test -z "$MCS"],
	       [AC_MSG_ERROR([the CoreCLR sample is compiled by mcs: install mono-mcs (Debian, Ubuntu), or leave --with-coreclr away])])])
AM_CONDITIONAL([HAVE_CORECLR], [test "$hm_coreclr" != no])
AC_SUBST([hm_coreclr])])

# HM_V8(DIR)
# Sets hm_v8 to yes if there is V8 10.2 below DIR or DIR/usr, and V8_CPPFLAGS and V8_LIBS to
# what compiles and links with it.  DIR may also be "check", for the system's own; "yes", if
# that is a must, as a folder is; or "no".
AC_DEFUN([HM_V8],
[AS_CASE([$1],
	[no], [hm_v8=no],
	[check | yes], [_HM_V8_IN([/usr])],
	[_HM_V8_IN([$1])])
AS_CASE([$1:$hm_v8],
	[check:* | no:* | *:yes], [],
	[AC_MSG_ERROR([no V8 10.2 in $1: include/node/v8.h and libnode.so are needed there, and the libraries that libnode.so needs; config.log says more])])
AC_SUBST([V8_CPPFLAGS])
AC_SUBST([V8_LIBS])])

# _HM_V8_IN(DIR)
AC_DEFUN([_HM_V8_IN],
[AC_MSG_CHECKING([for V8 10.2 in $1])
hm_v8=no
hm_v8_root=$1
AS_IF([test -f "$1/usr/include/node/v8.h"], [hm_v8_root=$1/usr])
hm_v8_root=$(cd "$hm_v8_root" 2>/dev/null && pwd)
V8_CPPFLAGS="-isystem $hm_v8_root/include/node"
V8_LIBS=-lnode
for hm_file in "$hm_v8_root"/libnode.so "$hm_v8_root"/lib*/libnode.so \
	"$hm_v8_root"/lib/*/libnode.so; do
	hm_folder=$(dirname "$hm_file")
	AS_IF([test "x$hm_v8_root" != x/usr && test -f "$hm_file"],
	      [V8_LIBS="-L$hm_folder -lnode -Wl,-rpath,$hm_folder"])
done
AC_LANG_PUSH([C++])
hm_save_CPPFLAGS=$CPPFLAGS
hm_save_CXXFLAGS=$CXXFLAGS
hm_save_LIBS=$LIBS
CPPFLAGS="$CPPFLAGS $V8_CPPFLAGS"
CXXFLAGS="$CXXFLAGS -std=c++17 -fno-rtti"
LIBS="$V8_LIBS $LIBS"
AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <v8.h>
#if V8_MAJOR_VERSION != 10 || V8_MINOR_VERSION != 2
#error the sample is for another version
#endif]], [[return v8::V8::GetVersion() == nullptr;]])],
	[hm_v8=yes])
CPPFLAGS=$hm_save_CPPFLAGS
CXXFLAGS=$hm_save_CXXFLAGS
LIBS=$hm_save_LIBS
AC_LANG_POP([C++])
AC_MSG_RESULT([$hm_v8])])

# HM_JDK(DIR)
# Sets hm_jdk to the folder of a JDK 17 or later: DIR, or if that is "check" or "yes" the one
# that JAVA_HOME names, or that of the javac in PATH; to no if there is none, or DIR is "no".
# JDK_CPPFLAGS is what the headers of JNI need.
AC_DEFUN([HM_JDK],
[hm_jdk=no
AS_CASE([$1],
	[no], [],
	[check | yes],
		[_HM_JDK_IN([$JAVA_HOME])
		 AS_IF([test "$hm_jdk" = no],
		       [hm_javac=$(readlink -f "$(command -v javac)" 2>/dev/null)
			_HM_JDK_IN([${hm_javac%/bin/javac}])])],
	[_HM_JDK_IN([$1])])
AC_MSG_CHECKING([for a JDK, 17 or later])
AC_MSG_RESULT([$hm_jdk])
AS_CASE([$1:$hm_jdk],
	[check:no | no:no], [],
	[*:no], [AC_MSG_ERROR([no JDK 17 or later in $1: bin/javac, include/jni.h and lib/server/libjvm.so are needed there])])
JDK_CPPFLAGS="-isystem $hm_jdk/include -isystem $hm_jdk/include/linux"
AC_SUBST([hm_jdk])
AC_SUBST([JDK_CPPFLAGS])])

# _HM_JDK_IN(DIR)
# The release file says JAVA_VERSION="17.0.15"; that of Java 8 began with "1.".
AC_DEFUN([_HM_JDK_IN],
[hm_release=$(sed -n 's/^JAVA_VERSION="\(@<:@0-9@:>@*\).*/\1/p' "$1/release" 2>/dev/null)
AS_IF([test "0$hm_release" -ge 17 && test -x "$1/bin/javac" &&
       test -f "$1/include/linux/jni_md.h" && test -f "$1/lib/server/libjvm.so"],
      [hm_jdk=$(CDPATH='' cd -- "$1" && pwd)])])

# HM_MONO
# Sets hm_mono to yes if there is Mono 6 with its headers and mcs, which compiles C#.
AC_DEFUN([HM_MONO],
[PKG_CHECK_MODULES([MONO], [mono-2 >= 6], [hm_mono=yes], [hm_mono=no])
AC_CHECK_PROG([MCS], [mcs], [mcs])
AS_IF([test -z "$MCS"], [hm_mono=no])
MONO_CFLAGS=$(echo " $MONO_CFLAGS" | sed 's/ -I/ -isystem /g')
AM_CONDITIONAL([HAVE_MONO], [test "$hm_mono" = yes])])
