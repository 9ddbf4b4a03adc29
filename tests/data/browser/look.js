// Looks at a page of brc from inside a browser, and leaves what is wrong with it as a list in the place of the page.

const problems = [];
const shown = (element) => element.outerHTML.slice(0, 100);

function reachable() {
    const controls = [...document.querySelectorAll("summary, a[href], .wide")];
    if (controls.length < 4) problems.push(`only ${controls.length} controls`);
    for (const control of controls.filter((control) => control.tabIndex < 0)) {
        problems.push(`no key leads to ${shown(control)}`);
    }
    for (const named of document.querySelectorAll(".wide, .map, .map a")) {
        if (!named.getAttribute("aria-label")) problems.push(`${shown(named)} has no name`);
    }
}

function maps() {
    for (const details of document.querySelectorAll("details")) details.open = true;
    for (const map of document.querySelectorAll(".map")) {
        const whole = map.getBoundingClientRect();
        let area = 0;
        for (const tile of map.children) {
            const place = tile.getBoundingClientRect();
            area += place.width * place.height;
            const inside = place.left >= whole.left - 1 && place.right <= whole.right + 1
                && place.top >= whole.top - 1 && place.bottom <= whole.bottom + 1;
            if (!inside) problems.push(`a tile is not inside its map: ${shown(tile)}`);
        }
        const share = area / (whole.width * whole.height);
        if (Math.abs(share - 1) > 0.02) problems.push(`the tiles of ${map.ariaLabel} fill ${share} of it`);
    }
    if (document.documentElement.scrollWidth > innerWidth) problems.push("the page is wider than its window");
}

const numbers = (colour) => colour.match(/[\d.]+/g).map(Number);
function light(colour) {
    const [red, green, blue] = numbers(colour).map((part) => part / 255)
        .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
function behind(element) {
    for (let at = element; at; at = at.parentElement) {
        const colour = getComputedStyle(at).backgroundColor;
        if (numbers(colour)[3] !== 0) return colour;
    }
    return "rgb(255, 255, 255)";
}
// WCAG 2.2, 1.4.3: text and what is behind it, 4.5 to 1.
function contrast() {
    const papers = new Set();
    for (const scheme of ["light", "dark"]) {
        document.documentElement.style.colorScheme = scheme;
        papers.add(getComputedStyle(document.body).backgroundColor);
        for (const element of document.querySelectorAll("h1, h2, p, th, td, code, .map span")) {
            const [one, other] = [light(getComputedStyle(element).color), light(behind(element))];
            const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
            if (ratio < 4.5) problems.push(`${scheme}: contrast ${ratio.toFixed(2)} of ${shown(element)}`);
        }
    }
    if (papers.size !== 2) problems.push(`light and dark have the same paper: ${[...papers]}`);
}

async function links() {
    for (const details of document.querySelectorAll("details")) details.open = false;
    for (const link of document.querySelectorAll(".map a")) {
        const target = document.querySelector(link.hash);
        const details = target?.closest("details");
        if (!details) {
            problems.push(`${shown(link)} leads nowhere`);
            continue;
        }
        link.focus();
        link.click();
        await new Promise((resolve) => setTimeout(resolve, 20));
        if (!details.open) problems.push(`${shown(link)} does not open what it leads to`);
        details.open = false;
    }
}

addEventListener("load", async () => {
    try {
        reachable();
        maps();
        contrast();
        await links();
    } catch (error) {
        problems.push(String(error));
    }
    const told = document.createElement("pre");
    told.textContent = problems.length ? problems.slice(0, 20).join("\n") : "nothing is wrong";
    document.body.replaceChildren(told);
});
