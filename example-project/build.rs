fn main() {
    academictorrents::build()
}
