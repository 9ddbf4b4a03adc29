# Modules for the kernel of the image, whose build tree is at /kernel. Arguments go to make.
if [ ! -e /kernel/Makefile ]; then
    echo "expected: a kernel that takes modules; found: the kernel of this image, which takes none." >&2
    echo "help: set \`CONFIG_MODULES=y\` in a fragment of the kernel's \`config\`, or build the driver into it." >&2
    exit 1
fi
make -C /kernel M="$PWD" "$@" modules
make -C /kernel M="$PWD" INSTALL_MOD_PATH="$out/usr" INSTALL_MOD_STRIP=1 DEPMOD=true "$@" modules_install
