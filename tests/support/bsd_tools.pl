# The tools of a machine of the BSD kind, over Debian's own: what only GNU's know is refused, so that
# nothing that depends on it passes. Installed under each tool's name by bsd.py, which writes
# before this: $REAL, a folder with `bin` and `proc` as they really are; $KERNEL; $STATE, a folder
# with what the kernel would say.
use strict;

our ($REAL, $KERNEL, $STATE);
my ($tool) = $0 =~ m{([^/]+)$};

# The letters that the tool of the same name takes on macOS and FreeBSD; a colon: with a value.
my %LETTERS = (
    cat => "belnstuv", chmod => "fhvRHLP", cp => "HLPRacfiNnprv", cut => "b:c:d:f:nsw",
    dirname => "", head => "c:n:", ln => "FfhinsvLPw", ls => "1ACFHLPRSTUacdfghiklmnopqrstuwx",
    mkdir => "m:pv", mktemp => "dqut:", mv => "fhinv", readlink => "n", renice => "n:p:g:u:",
    rm => "dfiPRrvWx", rmdir => "pv", sed => "Eae:f:i:lnru", sort => "bcCdfhimnruzst:k:o:T:",
    tail => "Fb:c:n:fqr", tee => "ai", touch => "Aacfhmr:t:d:", tr => "Ccdsu", uniq => "cdiuf:s:",
    wc => "clmwL", xargs => "0E:I:J:L:n:oP:pR:rS:s:tx", du => "ABHLPacd:ghI:klmnrst:x",
    date => "jRun:r:v:f:", dd => "", df => "ahiklmnPt:T:", base64 => "b:dDi:o:", find => undef,
);

sub refuse { print STDERR "$tool: @_\nusage: $tool as macOS and the BSDs have it\n"; exit 64 }
sub real { exec {"$REAL/bin/$tool"} $tool, @_ or exit 127 }
sub slurp { open my $from, "<", $_[0] or return ""; local $/; my $text = <$from>; return $text }

my %DO = (ps => \&ps, sysctl => \&sysctl, uname => \&uname, stat => \&stat_, df => \&df, wc => \&wc,
    dd => \&dd, date => \&date, touch => \&touch, find => \&find_, grep => \&grep_, sed => \&sed);
check(@ARGV) if defined $LETTERS{$tool};
$DO{$tool} ? $DO{$tool}->(@ARGV) : real(@ARGV);
exit 0;

sub check {
    my @words = @_;
    my $letters = $LETTERS{$tool};
    while (@words && $words[0] =~ /^-./) {
        my $word = shift @words;
        last if $word eq "--";
        refuse("illegal option -- -") if $word =~ /^--/;
        next if $tool =~ /^(?:tail|head|chmod)$/ && $word =~ /^-\d+$|^-[rwx]+$/;
        for (my $at = 1; $at < length $word; $at++) {
            my $letter = substr $word, $at, 1;
            $letters =~ /\Q$letter\E(:?)/ or refuse("illegal option -- $letter");
            next unless $1;
            shift @words if $at == length($word) - 1;
            last;
        }
    }
}

sub uname {
    my %says = (s => $KERNEL, n => slurp("$STATE/hostname"), r => "24.0.0", m => "arm64");
    my $letters = join "", map { /^-([snrm]+)$/ ? $1 : refuse("illegal option") } @_;
    print join(" ", map { $says{$_} } grep { ($letters || "s") =~ /$_/ } qw(s n r m)), "\n";
}

sub sysctl {
    refuse("only -n NAME is known here") unless @_ == 2 && $_[0] eq "-n";
    my $boot = slurp("$STATE/boot_id");
    my ($booted) = slurp("$REAL/proc/stat") =~ /^btime (\d+)/m;
    my $load = join " ", (split / /, slurp("$REAL/proc/loadavg"))[0 .. 2];
    my %says = ("kern.boottime" => "{ sec = $booted, usec = 0 } Thu", "vm.loadavg" => "{ $load }", "hw.ncpu" => 2);
    $says{$KERNEL eq "Darwin" ? "kern.bootsessionuuid" : "kern.boot_id"} = $boot;
    my $value = $says{$_[1]};
    if (!defined $value) { print STDERR "sysctl: unknown oid '$_[1]'\n"; exit 1 }
    print "$value\n";
}

sub wc { # pads its numbers
    open my $from, "-|", "$REAL/bin/wc", @_ or exit 1;
    while (<$from>) { s/(^| +)(\d+)/sprintf "%8d", $2/ge; print }
    close $from;
    exit $? >> 8;
}

sub dd {
    for (@_) { refuse("unknown operand $_") unless /^(?:bs|count|skip|seek|if|of|ibs|obs|conv)=/ }
    real(@_);
}

sub date {
    for (@_) { refuse("illegal time format") if /^\+.*%N/ }
    real(@_);
}

sub touch {
    refuse("out of range or illegal time specification: YYYY-MM-DDThh:mm:SS") if "@_" =~ /-d @/;
    real(@_);
}

sub find_ {
    for (@_) { refuse("$_: unknown primary or operator") if /^-(?:printf|fprintf|regextype|readable|writable|executable)$/ }
    refuse("illegal option") if !@_ || $_[0] =~ /^-[^dEHLPsXxf]/;
    real(@_);
}

sub grep_ {
    for (@_) { last if $_ eq "--"; refuse("invalid option -- P") if /^-[A-Za-z]*P/ }
    real(@_);
}

sub sed { real("--posix", @_) }

sub stat_ {
    refuse("illegal option -- c") if "@_" =~ /^-\w*c|-f -c| -c /;
    refuse("only what was refused is known here");
}

sub df { # the size of blocks, and -P without a table of files
    my $letters = join "", grep { s/^-// } my @words = @_;
    my ($path) = grep { !/^-/ && !/^[a-zA-Z]+$/ } @_;
    open my $from, "-|", "$REAL/bin/stat", "-f", "-c", "%S %b %f %a %c %d", $path or exit 1;
    my ($block, $all, $free, $left, $files, $files_left) = split / /, <$from>;
    chomp $files_left;
    my $unit = $letters =~ /k/ ? 1024 : 512;
    my ($size, $used, $available) = map { int($_ * $block / $unit) } $all, $all - $free, $left;
    my $percent = $size ? int(100 * $used / $size) : 0;
    my ($files_used, $table) = ($files - $files_left, $letters =~ /i/);
    print "Filesystem $unit-blocks Used Available Capacity", $table ? " iused ifree %iused " : "", " Mounted on\n";
    print "/dev/disk3s1 $size $used $available $percent% ", $table ? "$files_used $files_left 0% " : "", "/\n";
}

# ---- ps: -a -x -w, -p LIST, -o KEYWORD[=HEADER], and -E (macOS) or -e (FreeBSD) for environments

sub ps {
    my (@keywords, @pids, %is);
    while (@_) {
        my $word = shift;
        if ($word eq "-o") { push @keywords, keyword(shift) }
        elsif ($word eq "-p") { @pids = split /,/, shift }
        elsif ($word =~ /^-([axwAEe]+)$/) { $is{$_} = 1 for split //, $1 }
        else { refuse("illegal option -- $word") }
    }
    refuse("illegal option -- E") if $is{E} && $KERNEL ne "Darwin";
    my $environment = $KERNEL eq "Darwin" ? $is{E} : $is{e};
    $is{A} = 1 if $is{e} && $KERNEL eq "Darwin";
    @pids = map { m{(\d+)$} } glob "$REAL/proc/[0-9]*" if !@pids && ($is{A} || ($is{a} && $is{x}));
    my $shown = 0;
    for my $pid (@pids) {
        my $row = row($pid, $environment) or next;
        print join(" ", map { value($_, $row) } @keywords), "\n";
        $shown = 1;
    }
    exit($shown ? 0 : 1);
}

sub keyword {
    my ($name, $header) = $_[0] =~ /^(\w+)=(.*)$/ or refuse("a keyword with its header, `pid=`, is known here");
    refuse("the header of $name is `$header`: it ends with the argument") if $header ne "";
    my $known = "pid ppid pgid stat lstart time etime comm command args user uid";
    $known .= " sid" if $KERNEL ne "Darwin";
    refuse("$name: keyword not found") unless " $known " =~ / $name /;
    return $name;
}

sub row {
    my ($pid, $environment) = @_;
    my ($here, $there) = map { readlink "$REAL/proc/$_/ns/mnt" } $$, $pid;
    return unless $pid == 1 || $here eq $there; # on the machine that this one plays
    my $text = slurp("$REAL/proc/$pid/stat") or return;
    my ($name, $rest) = $text =~ /^\d+ \((.*)\) (.*)$/s or return;
    my @field = split / /, $rest;
    my ($booted) = slurp("$REAL/proc/stat") =~ /^btime (\d+)/m;
    my $uid = (stat "$REAL/proc/$pid")[4];
    my %row = (
        pid => $pid, stat => $field[0], ppid => $field[1], pgid => $field[2], sid => $field[3], uid => $uid,
        user => scalar getpwuid $uid, start => $booted + int($field[19] / 100), comm => $name,
    );
    my $cpu = $field[11] + $field[12];
    $row{time} = sprintf "%d:%02d.%02d", $cpu / 6000, $cpu / 100 % 60, $cpu % 100;
    my $age = time - $row{start};
    $age = 0 if $age < 0;
    $row{etime} = $age >= 86400 ? sprintf("%d-%02d:%02d:%02d", $age / 86400, $age / 3600 % 24, $age / 60 % 60, $age % 60)
        : $age >= 3600 ? sprintf("%02d:%02d:%02d", $age / 3600, $age / 60 % 60, $age % 60)
        : sprintf("%02d:%02d", $age / 60, $age % 60);
    my $command = join " ", split /\0/, slurp("$REAL/proc/$pid/cmdline");
    $command = "($name)" if $command eq "";
    my $shown = $environment ? join " ", split /\0/, slurp("$REAL/proc/$pid/environ") : "";
    $row{args} = $row{command} = $shown eq "" ? $command : $KERNEL eq "Darwin" ? "$command $shown" : "$shown $command";
    s/[\n\t]/?/g for @row{qw(args command comm)};
    $row{comm} = readlink("$REAL/proc/$pid/exe") || $name if $KERNEL eq "Darwin";
    return \%row;
}

sub value {
    my ($keyword, $row) = @_;
    return sprintf "%5s", $row->{$keyword} if $keyword =~ /^(?:pid|ppid|pgid|sid|uid)$/;
    return sprintf "%-16s", $row->{user} if $keyword eq "user";
    return $row->{$keyword} unless $keyword eq "lstart";
    require POSIX;
    return POSIX::strftime("%a %b %e %H:%M:%S %Y", localtime $row->{start});
}
