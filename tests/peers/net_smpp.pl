#!/usr/bin/perl
# An SMS centre made of Perl's Net::SMPP, which nobody here wrote. One connection at a time.
#
#   perl net_smpp.pl MODE
#
# Says its port on the first line, then a line for each submit_sm: the number it is for and its text, tab between, and
# what it was answered: ok, throttled, lost. MODE is how it behaves: plain; throttle (three of ten); drop (the
# connection at every 100th, unanswered); unbind (after every 50th); first (the receipt before the answer);
# nack (every 10th by generic_nack, as throttled); reverse (ten answers at a time, the last first); garbage (octets that
# are no PDU, after the 30th); slam (the first three connections closed at once); mute (the first 20 never answered).
use strict;
use warnings;
use IO::Handle;
use Net::SMPP;

my $mode = shift || 'plain';
$Net::SMPP::trace = 0;
STDOUT->autoflush(1);
$SIG{PIPE} = 'IGNORE';
my $listener = Net::SMPP->new_listen('127.0.0.1', port => 0, smpp_version => 0x34) or die "cannot listen: $!";
print $listener->sockport, "\n";
my ($total, $id, $receipt, $slams, @held) = (0, 0, 0, $mode eq 'slam' ? 3 : 0);
my @binds = (Net::SMPP::CMD_bind_transceiver, Net::SMPP::CMD_bind_transmitter, Net::SMPP::CMD_bind_receiver);

sub tell_receipt {
    my ($client, $pdu, $id) = @_;
    $client->deliver_sm(
        seq => ++$receipt, async => 1, esm_class => 4, source_addr => $pdu->{destination_addr}, source_addr_ton => 1,
        source_addr_npi => 1, destination_addr => $pdu->{source_addr}, dest_addr_ton => 1, dest_addr_npi => 1,
        short_message => "id:$id sub:001 dlvrd:001 submit date:2601010000 done date:2601010000 stat:DELIVRD err:000 text:",
    );
}

sub taken {
    my ($client, $pdu) = @_;
    $total++;
    my $say = sub { print join("\t", $pdu->{destination_addr}, $pdu->{short_message}, $_[0]), "\n" };
    if ($mode eq 'drop' && $total % 100 == 0) { $say->('lost'); return 0; }
    if ($mode eq 'throttle' && $total % 10 < 3) {
        $say->('throttled');
        $client->submit_sm_resp(message_id => '', seq => $pdu->{seq}, status => 0x58);
        return 1;
    }
    if ($mode eq 'nack' && $total % 10 == 0) {
        $say->('throttled');
        $client->generic_nack(seq => $pdu->{seq}, status => 0x58);
        return 1;
    }
    if ($mode eq 'mute' && $total <= 20) { $say->('lost'); return 1; }
    my $mine = sprintf('%08x', ++$id);
    $say->('ok');
    if ($mode eq 'reverse') {
        unshift @held, [$mine, $pdu->{seq}];
        if (@held == 10) { $client->submit_sm_resp(message_id => $_->[0], seq => $_->[1]) for splice @held; }
        return 1;
    }
    tell_receipt($client, $pdu, $mine) if $mode eq 'first';
    $client->submit_sm_resp(message_id => $mine, seq => $pdu->{seq});
    tell_receipt($client, $pdu, $mine) if $mode ne 'first';
    if ($mode eq 'garbage' && $total == 30) { print $client "\xff" x 64; $client->flush; }
    $client->unbind(async => 1, seq => 900_000 + $total) if $mode eq 'unbind' && $total % 50 == 0;
    return 1;
}

while (my $client = $listener->accept) {
    if ($slams-- > 0) { close $client; next; }
    while (my $pdu = $client->read_pdu) {
        my $command = $pdu->{cmd};
        if (grep { $_ == $command } @binds) {
            my $answer = $command == Net::SMPP::CMD_bind_transceiver ? 'bind_transceiver_resp'
                : $command == Net::SMPP::CMD_bind_transmitter ? 'bind_transmitter_resp' : 'bind_receiver_resp';
            $client->$answer(system_id => 'perl', seq => $pdu->{seq});
        }
        elsif ($command == Net::SMPP::CMD_submit_sm) { taken($client, $pdu) or last; }
        elsif ($command == Net::SMPP::CMD_enquire_link) { $client->enquire_link_resp(seq => $pdu->{seq}); }
        elsif ($command == Net::SMPP::CMD_unbind) { $client->unbind_resp(seq => $pdu->{seq}); last; }
        elsif ($command == Net::SMPP::CMD_unbind_resp) { last; }
    }
    close $client;
}
