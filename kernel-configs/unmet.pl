#!/usr/bin/perl
# unmet.pl SRCARCH CONFIG FRAGMENT...   (run in the kernel's source folder)
# One line for every asked option that is not so in CONFIG: what was asked, what it is, and why:
# the conditions of its definition that do not hold, or the options that select it against the wish.
# Exit status 1 when there is one.
use strict;
use warnings;

my ($srcarch, $config, @fragments) = @ARGV;
my (%have, %defined, %selected);

sub lines {
    my ($file) = @_;
    open(my $in, '<', $file) or die "unmet.pl: $file: $!\n";
    my @lines = <$in>;
    return @lines;
}

for (lines($config)) {
    $have{$1} = $2 if /^CONFIG_(\w+)=(.*)/;
}

# Kconfig: every definition of a symbol with the conditions around and inside it.
sub read_kconfig {
    my ($file, @outer) = @_;
    my @around = @outer;    # conditions of if and menu
    my @depth;              # how many conditions each open if or menu has added
    my ($symbol, $conditions, $menu, $help) = ('', undef, 0, undef);
    my ($number, $pending) = (0, '');
    for (lines($file)) {
        $number++;
        chomp;
        if (defined $help) {                     # a help text ends where the indent gets smaller
            next if /^\s*$/;
            my ($indent) = /^(\s*)/;
            $indent =~ s/\t/        /g;
            $help = length $indent if $help == -1;
            next if length $indent >= $help && $help > 0;
            undef $help;
        }
        $_ = $pending . $_;
        $pending = '';
        if (s/\\$//) { $pending = $_; next; }
        s/\s+#.*$//;
        next if /^\s*(#|$)/;
        if (/^\s*(?:menu)?config\s+(\w+)/) {
            $symbol = $1;
            $conditions = [@around];
            push @{ $defined{$symbol} }, { at => "$file:$number", conditions => $conditions };
            $menu = 0;
        } elsif (/^\s*choice\b/) {
            ($symbol, $conditions, $menu) = ('', [], 0);
            push @depth, 0;
        } elsif (/^\s*comment\b/) {
            ($symbol, $conditions, $menu) = ('', [], 0);
        } elsif (/^\s*menu\s/) {
            push @depth, 0;
            $menu = 1;
        } elsif (/^\s*if\s+(.*)/) {
            push @around, $1;
            push @depth, 1;
            $menu = 0;
        } elsif (/^\s*(endif|endmenu|endchoice)\b/) {
            my $n = pop @depth;
            splice @around, @around - $n if $n;
            $menu = 0;
        } elsif (/^\s*depends\s+on\s+(.*)/) {
            if ($menu) { push @around, $1; $depth[-1]++; }
            elsif ($conditions) { push @$conditions, $1; }
        } elsif (/^\s*select\s+(\w+)(?:\s+if\s+(.*))?/ && $symbol) {
            push @{ $selected{$1} }, [$symbol, $2];
        } elsif (/^\s*(?:help|---help---)\s*$/) {
            $help = -1;
        } elsif (/^\s*o?r?source\s+"?([^"\s]+)"?/) {
            my $path = $1;
            $path =~ s/\$\(SRCARCH\)|\$SRCARCH/$srcarch/g;
            next if $path =~ /\$/;
            read_kconfig($path, @around) if -e $path;
        }
    }
    return;
}

# Value of an expression: 0 n, 1 m, 2 y. Macros of the compiler are taken to hold.
sub value {
    my ($text) = @_;
    my @token = $text =~ /(\$\([^()]*(?:\([^()]*\)[^()]*)*\)|&&|\|\||!=|<=|>=|[!()=<>]|"[^"]*"|[\w.-]+)/g;
    my ($or, $and, $not);
    my $word = sub {
        my $t = shift @token;
        return 2 unless defined $t;
        return 2 if $t =~ /^\$/;
        my $is = $t =~ /^"(.*)"$/ ? $1 : $t =~ /^[ymn]$/ ? $t : exists $have{$t} ? $have{$t} : $t =~ /^\d/ ? $t : 'n';
        if (@token && $token[0] =~ /^(=|!=|<|>|<=|>=)$/) {
            my $op = shift @token;
            my $r = shift @token;
            $r = $r =~ /^"(.*)"$/ ? $1 : exists $have{$r} ? $have{$r} : $r =~ /^[ymn]$|^\d/ ? $r : 'n';
            my $holds = $op eq '=' ? $is eq $r : $op eq '!=' ? $is ne $r : 1;
            return $holds ? 2 : 0;
        }
        return $is eq 'y' ? 2 : $is eq 'm' ? 1 : 0;
    };
    $not = sub {
        if (@token && $token[0] eq '!') { shift @token; return 2 - $not->(); }
        if (@token && $token[0] eq '(') { shift @token; my $v = $or->(); shift @token; return $v; }
        return $word->();
    };
    $and = sub { my $v = $not->(); while (@token && $token[0] eq '&&') { shift @token; my $w = $not->(); $v = $w if $w < $v; } return $v; };
    $or = sub { my $v = $and->(); while (@token && $token[0] eq '||') { shift @token; my $w = $and->(); $v = $w if $w > $v; } return $v; };
    return $or->();
}

# The same expression with the value of each symbol behind it.
sub shown {
    my ($text) = @_;
    $text =~ s/(?<![\w"\$(,.-])(\w*[A-Z]\w*)(?![\w",-])/"$1 [=" . ($have{$1} \/\/ 'n') . ']'/ge;
    return $text;
}

# The parts of a && b && c, parentheses kept together.
sub parts {
    my ($text) = @_;
    my ($level, $part, @parts) = (0, '');
    while ($text =~ /(&&|\|\||[()]|[^&|()]+|.)/g) {
        my $t = $1;
        $level++ if $t eq '(';
        $level-- if $t eq ')';
        return ($text) if $t eq '||' && $level == 0;
        if ($t eq '&&' && $level == 0) { push @parts, $part; $part = ''; }
        else { $part .= $t; }
    }
    push @parts, $part;
    return map { s/^\s+|\s+$//gr } @parts;
}

read_kconfig('Kconfig');
my $missing = 0;
my %asked;
for my $fragment (@fragments) {
    my $number = 0;
    for (lines($fragment)) {
        $number++;
        if (/^CONFIG_(\w+)=(.*?)\s*$/)              { $asked{$1} = [$2, "$fragment:$number"]; }
        elsif (/^# CONFIG_(\w+) is not set\s*$/)    { $asked{$1} = ['n', "$fragment:$number"]; }
    }
}
for my $symbol (sort keys %asked) {
    my ($want, $where) = @{ $asked{$symbol} };
    my $is = $have{$symbol} // 'n';
    next if $is eq $want;
    $missing = 1;
    my @why;
    if ($want eq 'n') {
        for (@{ $selected{$symbol} // [] }) {
            my ($by, $if) = @$_;
            push @why, "selected by $by" . (defined $if ? ' if ' . shown($if) : '') if ($have{$by} // 'n') ne 'n' && (!defined $if || value($if));
        }
        @why = ('it has no prompt, or a choice needs it') unless @why;
    } elsif (!$defined{$symbol}) {
        @why = ('this kernel has no such option');
    } else {
        for (@{ $defined{$symbol} }) {
            my @unmet = grep { value($_) < ($want eq 'm' ? 1 : 2) } map { parts($_) } @{ $_->{conditions} };
            push @why, @unmet ? 'needs ' . join(' and ', map { shown($_) } @unmet) . " ($_->{at})" : "its conditions hold ($_->{at}): another option of its choice, or the end of its range";
        }
    }
    print "$where: CONFIG_$symbol: asked $want, is $is: ", join('; ', @why), "\n";
}
exit $missing;
