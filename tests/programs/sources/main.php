<?php
$file = tempnam(sys_get_temp_dir(), "one");
mkdir("directory");
echo rename($file, "directory/file") ? "moved" : "lost", "\n";
$server = stream_socket_server("tcp://localhost:0") or die("no server");
$client = stream_socket_client("tcp://" . stream_socket_get_name($server, false));
fwrite($client, "served\n");
fclose($client);
echo fgets(stream_socket_accept($server)), shell_exec("echo executed");
echo extension_loaded("posix") ? "posix" : "none", "\n";
