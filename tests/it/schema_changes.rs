//! The check of the schema against that of the last release.

use std::fs;
use std::path::{Path, PathBuf};

use tokio::process::Command;

/// Runs the check with these files; returns whether it succeeded, and what it printed.
async fn check(files: &[PathBuf]) -> (bool, String) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/check-schema.sh");
    let output = Command::new(script).args(files).output().await.unwrap();
    (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

#[tokio::test]
async fn only_announced_breaking_changes_pass() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let released = file("released.graphql", "type Query { score: Int! rank: Int }");
    let extended =
        file("extended.graphql", "type Query { score: Int! rank: Int @deprecated(reason: \"use `score`\") year: Int }");
    let reduced = file("reduced.graphql", "type Query { score: Int rank: Int }");
    let silent =
        file("silent.md", "## Unreleased\n### Added\n- `Query.score`\n## 1.0.0\n### Changed\n- `Query.score`\n");
    let announced = file("announced.md", "## Unreleased\n### Changed\n- `Query.score` is nullable.\n");

    let (passes, printed) = check(&[released.clone(), extended, silent.clone()]).await;
    assert!(passes && printed.starts_with("2 changes"), "{printed}");
    let (passes, printed) = check(&[released.clone(), reduced.clone(), silent]).await;
    assert!(!passes && printed.contains("not in CHANGELOG.md"), "{printed}");
    let (passes, printed) = check(&[released, reduced, announced]).await;
    assert!(passes && printed.contains("breaking: "), "{printed}");
}
