# Makes the kernel's configuration and fails with every wanted option that did not make it.
# In: $source (a glob that fits one packed archive), /fragments (Kconfig fragments, sorted), $ARCH. Out: $out/config.
mkdir -p /build/source /build/o
set -- $source
xz -T2 -dc "$1" | tar -x -C /build/source --strip-components=1
cd /build/source
for patch in /patches/*; do [ -e "$patch" ] && patch -p1 <"$patch"; done
make -s O=/build/o tinyconfig
sh scripts/kconfig/merge_config.sh -m -O /build/o /build/o/.config /fragments/* >/build/merge.log
make -s O=/build/o olddefconfig
# What was asked, last word first: `NAME VALUE FRAGMENT`; an option that is not there counts as not set.
asked() {
    for fragment in /fragments/*; do
        sed -n -e "s|^CONFIG_\([A-Za-z0-9_]*\)=\(.*\)\$|\1 \2 ${fragment##*/}|p" \
            -e "s|^# CONFIG_\([A-Za-z0-9_]*\) is not set\$|\1 n ${fragment##*/}|p" "$fragment"
    done | awk '{ last[$1] = $0 } END { for (name in last) print last[name] }' | sort
}
asked | while read -r name value fragment; do
    found=$(sed -n "s|^CONFIG_$name=||p" /build/o/.config)
    [ "${found:-n}" = "$value" ] || echo "$name $value ${found:-n} ${fragment#*-}"
done >/build/missing
if [ -s /build/missing ]; then
    cat >/build/explain.c <<'END'
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

int main(int argc, char **argv)
{
    char name[256], wanted[4096], found[4096], fragment[4096];
    conf_parse("Kconfig");
    conf_read(getenv("KCONFIG_CONFIG"));
    while (scanf("%255s %4095s %4095s %4095s", name, wanted, found, fragment) == 4) {
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
            printf("it is selected by ");
            expr_fprint(sym->rev_dep.expr, stdout);
            printf("\n");
        } else {
            printf("its dependencies are met, but it has no prompt here: ask for what selects it\n");
        }
    }
    return 0;
}
END
    cd /build/o/scripts/kconfig
    gcc -O1 -w -I/build/source/scripts/kconfig -I/build/source/scripts/include -I. -o /build/explain /build/explain.c \
        confdata.o expr.o lexer.lex.o menu.o parser.tab.o preprocess.o symbol.o util.o
    cd /build/source
    # Kconfig asks these of its environment, as the kernel's Makefile sets them.
    make -s O=/build/o KBUILD_EXTMOD= kernelversion >/build/version
    export srctree=. SRCARCH="$(echo "$ARCH" | sed 's/x86_64/x86/')" CC=gcc LD=ld NM=nm OBJCOPY=objcopy RUSTC=rustc
    export KERNELVERSION="$(tail -n 1 /build/version)" KCONFIG_CONFIG=/build/o/.config CONFIG_SHELL=sh
    export CC_VERSION_TEXT="$(gcc --version | head -n 1)" PAHOLE=pahole BINDGEN=bindgen
    /build/explain </build/missing 2>/dev/null
    exit 1
fi
cp /build/o/.config "$out/config"
