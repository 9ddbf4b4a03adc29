# Modules for the kernel of the image, whose build tree is at /kernel. Arguments go to make.
make -C /kernel M="$PWD" "$@" modules
make -C /kernel M="$PWD" INSTALL_MOD_PATH="$out/usr" INSTALL_MOD_STRIP=1 DEPMOD=true "$@" modules_install
