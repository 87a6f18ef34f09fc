//! Subordinate ids: an unprivileged caller's sandbox has a range of ids where the administrator has
//! given it some. The lists of this machine are not changed: the tests mount their own over them,
//! in a mount namespace of their own.

use seclude_tests::caller::{Caller, NOBODY, copy, seclude};
use seclude_tests::scratch;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

/// Runs a shell script as `nobody` with these subordinate ids. `$SECLUDE` is the command, and
/// `$DIR` a directory of nobody's.
fn as_owner_of(ids: &str, script: &str) -> Option<Output> {
    with_lists(ids, 0o644, script)
}

/// The same, with lists of this mode, which belong to root.
fn with_lists(ids: &str, mode: u32, script: &str) -> Option<Output> {
    if Caller::present() != Caller::Root {
        eprintln!("SKIPPED: only root can mount lists of subordinate ids");
        return None;
    }
    if !Path::new("/usr/bin/newuidmap").exists() {
        eprintln!("SKIPPED: newuidmap (uidmap) is not installed");
        return None;
    }
    let place = scratch::directory();
    let command = copy(&seclude(), place.path(), "seclude");
    let own = place.path().join("own");
    std::fs::create_dir(&own).expect("it is ours");
    Caller::User.own(&own);
    let lists = place.path().join("ids");
    std::fs::write(&lists, ids).expect("it is ours");
    std::fs::set_permissions(&lists, Permissions::from_mode(mode)).expect("it is ours");
    let id = NOBODY.to_string();
    let outer = "mount --make-rprivate / &&
        for list in subuid subgid; do
            [ -e /etc/$list ] || exit 77
            mount --bind \"$0/ids\" /etc/$list || exit 78
        done
        exec setpriv --reuid \"$1\" --regid \"$1\" --clear-groups sh -c \"$2\"";
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", outer])
        .arg(place.path())
        .args([&id, script])
        .env("SECLUDE", command)
        .env("DIR", &own)
        .env("SECLUDE_STORE", own.join("store"))
        .output()
        .expect("unshare (util-linux) is there");
    if output.status.code() == Some(77) {
        eprintln!("SKIPPED: this system has no list of subordinate ids to mount over");
        return None;
    }
    Some(output)
}

fn told(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_user_with_subordinate_ids_has_a_range() {
    let script = "
        run() { $SECLUDE run --uid 0 --gid 0 --capabilities chown \"$@\"; }
        run --ids range -- sh -c 'touch /tmp/f; chown 33:44 /tmp/f; stat -c %u:%g /tmp/f'
        run --ids auto -- awk '{print $1, $2, $3}' /proc/self/uid_map
        run --ids single -- sh -c 'touch /tmp/f; chown 33:44 /tmp/f' 2>&1 | grep -o 'Invalid argument'
        echo '{\"args\": [\"awk\", \"{print $3}\", \"/proc/self/uid_map\"]}' |
            $SECLUDE batch --ids range - | grep -o '65535'";
    let Some(output) = as_owner_of("nobody:300000:65536\n", script) else { return };
    let (stdout, stderr) = told(&output);
    assert_eq!(stdout, "33:44\n0 65534 1\n1 300000 65535\nInvalid argument\n65535\n", "{stderr}");
}

#[test]
fn without_subordinate_ids_a_range_is_an_error_and_auto_is_one_id() {
    let script = "
        $SECLUDE run --ids auto -- sh -c 'wc -l </proc/self/uid_map'
        $SECLUDE run --ids range -- true";
    let Some(output) = as_owner_of("somebody:300000:65536\n", script) else { return };
    let (stdout, stderr) = told(&output);
    assert_eq!((&*stdout, output.status.code()), ("1\n", Some(125)));
    assert!(stderr.contains("/etc/subuid has none for nobody"), "{stderr}");
    assert!(stderr.contains("usermod --add-subuids"), "{stderr}");
}

#[test]
fn a_list_that_cannot_be_read_is_an_error_with_auto_too() {
    let script = "$SECLUDE run --ids auto -- true";
    let Some(output) = with_lists("nobody:300000:65536\n", 0o600, script) else { return };
    let (_, stderr) = told(&output);
    assert_eq!(output.status.code(), Some(125), "{stderr}");
    assert!(stderr.contains("find the subordinate uids of the caller"), "{stderr}");
}

#[test]
fn ids_that_the_kernel_refuses_are_an_error() {
    // newuidmap knows what the list says; the command must not have more.
    let script = "$SECLUDE run --ids range --uid 30 -- true";
    let Some(output) = as_owner_of("nobody:300000:10\n", script) else { return };
    let (_, stderr) = told(&output);
    assert!(stderr.contains("uid 30: the caller's subordinate uids are 1 to 10"), "{stderr}");
}

#[test]
fn an_image_has_the_owners_of_a_range() {
    let script = "
        mkdir -p $DIR/root/bin && cp /bin/busybox $DIR/root/bin && cd $DIR/root &&
        for name in sh stat chown cat; do ln -s busybox bin/$name; done
        mkdir -m 700 closed && echo secret >closed/f && chmod 600 closed/f && ln -s f closed/l &&
        echo x >bin/f; tar --owner=7 --group=8 -czf $DIR/root.tgz -C $DIR/root .
        $SECLUDE image import --ids range --name one $DIR/root.tgz
        $SECLUDE image import --ids range --name two $DIR/root.tgz
        $SECLUDE run --ids range --uid 0 --gid 0 --capabilities chown --overlay /,image=one -- \
            sh -c 'stat -c %u:%g /bin/f; chown 9:10 /bin/f; stat -c %u:%g /bin/f'
        $SECLUDE run --overlay /,image=one -- sh
        $SECLUDE image export --form tar one $DIR/out.tar && tar -tvf $DIR/out.tar ./bin/f bin/f \
            2>/dev/null | grep -o 7/8
        tar -xOf $DIR/out.tar ./closed/f closed/f 2>/dev/null
        tar -tvf $DIR/out.tar | grep -c 'rwx.* 7/8 .*closed'
        $SECLUDE image remove one two && $SECLUDE image collect
        ls $SECLUDE_STORE/v1/layers $SECLUDE_STORE/v1/work | grep -c .";
    let Some(output) = as_owner_of("nobody:300000:65536\n", script) else { return };
    let (stdout, stderr) = told(&output);
    let lines: Vec<&str> = stdout.lines().collect();
    assert_eq!(
        lines.get(..8).unwrap_or(&lines),
        ["one", "two", "7:8", "9:10", "7/8", "secret", "2", "0 images and 1 layers removed"],
        "{stdout}{stderr}"
    );
    assert!(stderr.contains("set ids to range"), "{stderr}");
}
