# An interpreter of Perl that speaks the protocol of docs/interpreters.md and does not fork.
use strict;
use warnings;
use JSON::PP;
no strict 'vars';
open my $supervisor, '+<&=', 3;
open my $worker, '+<&=', 4;
my $json = JSON::PP->new->utf8->allow_nonref;

sub tell_it {
    my ($channel, $message) = @_;
    my $body = $json->encode($message);
    syswrite $channel, pack('V', length $body) . $body;
}

tell_it($supervisor, {warm => JSON::PP::true, forks => JSON::PP::false});
while (sysread($worker, my $head, 4) == 4) {
    sysread $worker, my $body, unpack('V', $head);
    my $message = $json->decode($body);
    my $value = eval "no strict; package main; $message->{code}";
    tell_it($worker, $@ ? {error => 'die', message => $@} : {value => $value});
}
