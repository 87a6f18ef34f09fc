use strict;
use File::Temp;
use IO::Socket::INET;

my $file = File::Temp->new;
mkdir "directory";
system "mv", $file->filename, "directory/file";
print -e "directory/file" ? "moved\n" : "lost\n";

my $server = IO::Socket::INET->new(Listen => 1, LocalAddr => "localhost") or die "localhost: $@";
$| = 1;
if (!fork) {
    my $client = IO::Socket::INET->new(PeerAddr => "localhost", PeerPort => $server->sockport);
    print $client "served\n";
    exit;
}
print scalar readline $server->accept;
wait;
print scalar getservbyname("http", "tcp"), "\n";
