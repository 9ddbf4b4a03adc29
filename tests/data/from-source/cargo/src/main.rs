cfg_if::cfg_if! {
    if #[cfg(special)] {
        const WORD: &str = "hello from special cargo";
    } else {
        const WORD: &str = "hello from cargo";
    }
}

fn main() {
    println!("{WORD}");
}
