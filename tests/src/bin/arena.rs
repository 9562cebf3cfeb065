//! The command `arena`: see [`arena::cli`].

fn main() -> std::process::ExitCode {
    arena::cli::main()
}
