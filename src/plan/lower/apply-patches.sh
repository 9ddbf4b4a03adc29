# The patches of a component, in the order of the recipe, which stands before each name.
for patch in /patches/*; do
    patch -p1 --forward --fuzz=0 <"$patch" || {
        name=${patch##*/}
        echo "expected: \`${name#*-}\` fits the source by \`patch -p1\`; found: what patch says above." >&2
        echo "help: bring the patch up to this version of the source, or take it out of the recipe." >&2
        exit 1
    }
done
