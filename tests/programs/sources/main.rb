require "fileutils"
require "pty"
require "socket"
require "tempfile"

Dir.mkdir "directory"
FileUtils.mv Tempfile.create.path, "directory/file"
puts File.exist? "directory/file"
$stdout.flush
server = TCPServer.new "localhost", 0
fork { TCPSocket.new("localhost", server.addr[1]).puts "served" }
puts server.accept.gets
Process.wait
puts Socket.getifaddrs.any? { |one| one.name == "lo" }
PTY.spawn("echo in a terminal") { |said, _, _| puts said.gets }
puts `echo executed`
