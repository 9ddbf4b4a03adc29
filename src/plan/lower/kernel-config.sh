# Makes the kernel's configuration and fails with every wanted option that did not make it.
# In: /kconfig (what kernel-kconfig.sh gives), /fragments (Kconfig fragments, sorted), $ARCH; /certificates where the
# kernel has one for modules. Out: $out/config.
# What was asked, the last word of all fragments: `NAME VALUE FRAGMENT:LINE`; an option that is not there counts as not
# set. Kconfig passes over a line that it does not understand; here it is a mistake.
# Where no fragment says anything, nothing was asked.
# Line ends of another system, and blanks behind a value, count as in Kconfig: not at all.
mkdir /tmp/fragments
for fragment in /fragments/*; do
    [ ! -e "$fragment" ] || sed -e 's/\r$//' -e '/^CONFIG_/s/[ \t]*$//' "$fragment" >"/tmp/fragments/${fragment##*/}"
done
: >/tmp/unsorted
awk '
    function say(name, value) { last[name] = name "\t" value "\t" place }
    { place = FILENAME; sub(/.*\/[0-9]*-/, "", place); place = place ":" FNR }
    /^CONFIG_[A-Za-z0-9_]+=[^ \t]/ { at = index($0, "="); say(substr($0, 8, at - 8), substr($0, at + 1)); next }
    /^# CONFIG_[A-Za-z0-9_]+ is not set$/ { say(substr($2, 8), "n"); next }
    /^[ \t]*CONFIG_/ || /^#+[ \t]*CONFIG_[A-Za-z0-9_]+[ \t]+is not set/ || /^[^#]*[^# \t]/ {
        print "error: " place ": `" $0 "` says nothing to Kconfig: write `CONFIG_NAME=value` or `# CONFIG_NAME is not set`"
        wrong = 1
    }
    END {
        if (wrong) exit 1
        for (name in last) print last[name] >"/tmp/unsorted"
    }
' /tmp/fragments/*
sort /tmp/unsorted >/tmp/asked
mkdir /tmp/o
cd /kconfig/source
# Of two lines for one option the last counts.
cp /kconfig/tiny.config /tmp/o/.config
awk -F '\t' '{ print $2 == "n" ? "# CONFIG_" $1 " is not set" : "CONFIG_" $1 "=" $2 }' /tmp/asked >>/tmp/o/.config
# It warns of each line that counts in the place of another.
make -s O=/tmp/o olddefconfig 2>/tmp/said || { cat /tmp/said; exit 1; }
awk '
    NR == FNR { if (/^CONFIG_/) { at = index($0, "="); found[substr($0, 8, at - 8)] = substr($0, at + 1) }; next }
    { split($0, asked, "\t"); is = asked[1] in found ? found[asked[1]] : "n" }
    is != asked[2] { print asked[1] "\t" asked[2] "\t" is "\t" asked[3] }
' /tmp/o/.config /tmp/asked >/tmp/missing
if [ -s /tmp/missing ]; then
    cat >/tmp/explain.c <<'END'
#include "lkc.h"
#include <stdio.h>
#include <stdlib.h>

/* Prints every option of an expression that is not set and is wanted by it. */
static void unmet(struct expr *e)
{
    if (!e) return;
    switch (e->type) {
    case E_AND: case E_OR: unmet(e->left.expr); unmet(e->right.expr); break;
    case E_SYMBOL:
        if (e->left.sym->name && sym_get_tristate_value(e->left.sym) == no) printf(" %s", e->left.sym->name);
        break;
    case E_NOT:
        if (expr_calc_value(e) == no) { printf(" "); expr_fprint(e, stdout); }
        break;
    default:
        if (expr_calc_value(e) == no) { printf(" "); expr_fprint(e, stdout); }
    }
}

/* Prints the terms of a chain of alternatives that hold. */
static void holding(struct expr *e)
{
    if (!e) return;
    if (e->type == E_OR) { holding(e->left.expr); holding(e->right.expr); return; }
    if (expr_calc_value(e) != no) { printf(" "); expr_fprint(e, stdout); printf(";"); }
}

int main(int argc, char **argv)
{
    char name[256], wanted[4096], found[4096], fragment[4096];
    conf_parse("Kconfig");
    conf_read(getenv("KCONFIG_CONFIG"));
    while (scanf("%255[^\t]%*c%4095[^\t]%*c%4095[^\t]%*c%4095[^\n]%*c", name, wanted, found, fragment) == 4) {
        struct symbol *sym = sym_find(name);
        printf("error: CONFIG_%s=%s is wanted by %s and is %s: ", name, wanted, fragment, found);
        if (!sym || sym->type == S_UNKNOWN) {
            printf("this kernel has no such option\n");
        } else if (sym->dir_dep.expr && expr_calc_value(sym->dir_dep.expr) == no) {
            printf("it depends on ");
            expr_fprint(sym->dir_dep.expr, stdout);
            printf("; unmet:");
            unmet(sym->dir_dep.expr);
            printf("\n");
        } else if (sym->rev_dep.expr && expr_calc_value(sym->rev_dep.expr) != no) {
            printf("it is selected by");
            holding(sym->rev_dep.expr);
            printf("\n");
        } else {
            printf("its dependencies are met, but it cannot be chosen here: ask for what selects it, or another "
                   "option of the same choice is asked for too\n");
        }
    }
    return 0;
}
END
    cd /tmp/o/scripts/kconfig
    gcc -O1 -w -I/kconfig/source/scripts/kconfig -I/kconfig/source/scripts/include -I. -o /tmp/explain /tmp/explain.c \
        confdata.o expr.o lexer.lex.o menu.o parser.tab.o preprocess.o symbol.o util.o
    cd /kconfig/source
    # Kconfig asks these of its environment, as the kernel's Makefile sets them.
    make -s O=/tmp/o KBUILD_EXTMOD= kernelversion >/tmp/version
    export srctree=. SRCARCH="$(echo "$ARCH" | sed 's/x86_64/x86/')" CC="${CROSS_COMPILE:-}gcc" LD="${CROSS_COMPILE:-}ld" NM="${CROSS_COMPILE:-}nm"
    export OBJCOPY="${CROSS_COMPILE:-}objcopy" RUSTC=rustc
    export KERNELVERSION="$(tail -n 1 /tmp/version)" KCONFIG_CONFIG=/tmp/o/.config CONFIG_SHELL=sh
    export CC_VERSION_TEXT="$($CC --version | head -n 1)" PAHOLE=pahole BINDGEN=bindgen
    /tmp/explain </tmp/missing 2>/dev/null
    exit 1
fi
# Whose modules are taken is stated twice, in the recipe and in a fragment: the one without the other is a mistake.
trusted=$(sed -n 's|^CONFIG_SYSTEM_TRUSTED_KEYS="\(.*\)"$|\1|p' /tmp/o/.config)
if [ -n "$trusted" ] && [ ! -e "$trusted" ]; then
    echo "error: CONFIG_SYSTEM_TRUSTED_KEYS names \`$trusted\`, and nothing is there."
    echo "help: state \`module-certificate \"FILE\"\` in the kernel, or in an \`override\` of it; that is /certificates/modules.pem here."
    exit 1
fi
if [ -e /certificates ] && [ "$trusted" != /certificates/modules.pem ]; then
    echo "error: the kernel has a \`module-certificate\`, and does not trust it: CONFIG_SYSTEM_TRUSTED_KEYS is \"$trusted\"."
    echo "help: turn on the feature \`signed-modules\`, or have a fragment say what kernel-configs/signed-modules.config says."
    exit 1
fi
cp /tmp/o/.config "$out/config"
