use std::{fs, io::Read, io::Write, net, process::Command, thread};

fn main() {
    let listener = net::TcpListener::bind("localhost:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || listener.accept().unwrap().0.write_all(b"served"));
    let mut said = String::new();
    net::TcpStream::connect(address).unwrap().read_to_string(&mut said).unwrap();
    server.join().unwrap().unwrap();
    println!("{said}");
    let output = Command::new("echo").arg("executed").output().unwrap();
    print!("{}", String::from_utf8(output.stdout).unwrap());
    let file = std::env::temp_dir().join("seclude-programs-file");
    fs::write(&file, "moved").unwrap();
    fs::create_dir("directory").unwrap();
    fs::rename(&file, "directory/file").unwrap();
    println!("{}", fs::read_to_string("directory/file").unwrap());
}

#[test]
fn passes() {
    assert_eq!(6 * 7, 42);
}
