fn main() {
    brc::sandbox::intercept();
}
