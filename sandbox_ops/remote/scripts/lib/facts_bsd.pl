# Reads a machine that has no /proc as Linux has it, for facts_bsd.sh: `facts WHAT ARGUMENT...`.
# Under the name of a tool it is as much of that tool of GNU's as our scripts use. $KERNEL is what
# `uname -s` says. Only what every perl has: macOS ships one, a BSD has a package.
# (Over 250 lines: one reader of other kernels, and the tools that they lack.)
use strict;

our $KERNEL;
my ($folder, $name) = $0 =~ m{^(.*)/([^/]+)$};
$name = "facts_" . shift @ARGV if $name eq "facts";
my $run = main->can($name =~ /^facts_\w+$/ ? $name : "tool_$name") or fail("unknown: $name");
$run->(@ARGV);
exit 0;

sub fail { print STDERR "$name: @_\n"; exit 1 }

# The machine's own tools: PATH without ours.
sub own_path { join ":", grep { $_ ne $folder } split /:/, $ENV{PATH} }
sub own { $ENV{PATH} = own_path(); exec @_ or fail("$_[0]: $!") }

# The lines that a command of the machine's own prints.
sub lines {
    local $ENV{PATH} = own_path();
    local $ENV{LC_ALL} = "C";
    local $ENV{TZ} = "UTC0";
    open my $from, "-|", @_ or return;
    my @lines = <$from>;
    close $from;
    chomp @lines;
    return @lines;
}

# ---- the clock: since boot, in centiseconds; nobody sets it

sub facts_now {
    require Time::HiRes;
    printf "%d\n", Time::HiRes::clock_gettime(Time::HiRes::CLOCK_MONOTONIC()) * 100;
}

# ---- processes

# A date as `ps` has it, as seconds since 1970.
sub seconds {
    require Time::Local;
    my ($month, $day, $hour, $minute, $second, $year) = @_;
    my $number = index("JanFebMarAprMayJunJulAugSepOctNovDec", $month) / 3;
    return Time::Local::timegm($second, $minute, $hour, $day, $number, $year);
}

# [[DD-]HH:]MM:SS[.CC], as seconds
sub duration {
    my ($days, $clock) = $_[0] =~ /^(?:(\d+)-)?([\d:.]+)$/ or return 0;
    my $sum = 0;
    $sum = $sum * 60 + $_ for split /:/, $clock;
    return $sum + 86400 * ($days || 0);
}

# Rows of these processes, or of all. A start counts from that of PID 1, which no clock that is set
# changes, or from boot where PID 1 cannot be seen.
sub processes {
    my $session = $KERNEL =~ /^(?:FreeBSD|DragonFly|NetBSD)$/ ? "sid" : "pgid";
    my @which = @_ ? ("-p", join ",", 1, @_) : ("-ax");
    my @columns = map { ("-o", "$_=") } "pid", "ppid", $session, qw(stat lstart time comm);
    my %rows;
    for (lines("ps", @which, @columns)) {
        my @row = /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\S)\S*\s+\w+\s+(\w+)\s+(\d+)\s+(\d+):(\d+):(\d+)\s+(\d+)\s+(\S+)\s+(.*?)\s*$/
            or next;
        my %row;
        @row{qw(pid parent session state)} = @row[0 .. 3];
        $row{start} = seconds(@row[4 .. 9]);
        @row{qw(cpu name)} = (duration($row[10]), $row[11]);
        $rows{$row{pid}} = \%row;
    }
    my $first = $rows{1} ? $rows{1}{start} : booted();
    for (values %rows) {
        my $ticks = 100 * ($_->{start} - $first);
        $_->{ticks} = $ticks > 0 ? $ticks : 0;
    }
    return \%rows;
}

sub booted { "@{[lines(qw(sysctl -n kern.boottime))]}" =~ /sec = (\d+)/ ? $1 : 0 }

sub one_process {
    my ($pid) = @_;
    $pid =~ /^\d+$/ or exit 1;
    return processes($pid)->{$pid} || exit 1;
}

sub facts_stat {
    my $row = one_process($_[0] eq "self" ? getppid : $_[0]);
    print join(" ", @$row{qw(pid state parent session ticks)}), "\n";
}

sub facts_name {
    my $name = one_process($_[0])->{name};
    $name =~ s{^.*/}{};
    print "$name\n";
}

sub facts_session {
    my ($leader) = @_;
    for (living(processes())) { print " $_->{pid}:$_->{ticks}" if $_->{session} == $leader }
}

sub living { grep { $_->{state} ne "Z" } sort { $a->{pid} <=> $b->{pid} } values %{$_[0]} }

# As proc(5) has the fields; what those used that are over is not known.
sub facts_cpu {
    for (living(processes())) {
        my $ticks = int(100 * $_->{cpu});
        print "$_->{pid} $_->{state} $_->{parent} 0 $_->{session} 0 0 0 0 0 0 0 $ticks 0 0 0\n";
    }
}

sub facts_programs {
    for (lines(qw(ps -axww -o pid= -o user= -o etime= -o args=))) {
        my ($pid, $user, $age, $command) = /^\s*(\d+)\s+(\S+)\s+(\S+)\s+(.*)/ or next;
        print "$pid $user ", int duration($age), " $command\n";
    }
}

# The environments that `ps` shows, by pid: our own processes', but for those that the kernel
# protects. They stand behind the command, or before it.
sub environments {
    my @which = (@_ ? ("-p", join ",", @_) : ("-ax"), "-ww");
    my @columns = qw(-o pid= -o command=);
    my (%command, %environment);
    for (lines("ps", @which, @columns)) { $command{$1} = $2 if /^\s*(\d+) (.*)/ }
    for (lines("ps", @which, $KERNEL eq "Darwin" ? "-E" : "-e", @columns)) {
        my ($pid, $text) = /^\s*(\d+) (.*)/ or next;
        my $command = $command{$pid};
        next unless defined $command;
        my $rest = length($text) - length($command);
        next if $rest <= 0;
        if (substr($text, 0, length $command) eq $command) { $text = substr($text, length $command) }
        elsif (substr($text, $rest) eq $command) { $text = substr($text, 0, $rest) }
        $environment{$pid} = " $text ";
    }
    return \%environment;
}

sub facts_marked {
    my ($pid, $below) = @_;
    my $shown = environments($pid)->{$pid};
    exit(defined $shown && index($shown, " SANDBOX_JOB=$below") >= 0 ? 0 : 1);
}

# Who belongs to the job of that folder: the marked, the leader, and all that descend from them.
sub facts_living {
    my ($job, $leader, $ticks) = @_;
    my $shown = environments();
    my $rows = processes();
    my %belongs = map { $_ => 1 }
        grep { $rows->{$_} && index($shown->{$_}, " SANDBOX_JOB=$job ") >= 0 } keys %$shown;
    my $row = $leader && $rows->{$leader};
    $belongs{$leader} = 1 if $row && abs($row->{ticks} - $ticks) <= 200;
    my $more = 1;
    while ($more) {
        $more = 0;
        for (values %$rows) {
            next if $belongs{$_->{pid}} || !$belongs{$_->{parent}};
            $belongs{$_->{pid}} = $more = 1;
        }
    }
    print " $_->{pid}" for grep { $belongs{$_->{pid}} } living($rows);
}

sub facts_uuid {
    open my $random, "<", "/dev/urandom" or exit 1;
    sysread $random, my $bytes, 16;
    printf "%s-%s-%s-%s-%s\n", unpack "H8H4H4H4H12", $bytes;
}

# ---- the opened file: standard input

sub is_same {
    my ($path) = @_;
    my @here = stat STDIN;
    my @there = stat $path;
    return @here && @there && $here[0] == $there[0] && $here[1] == $there[1];
}

sub facts_same { exit(is_same($_[0]) ? 0 : 1) }
sub facts_regular { exit(-f STDIN ? 0 : 1) }
sub facts_rewind { defined sysseek STDIN, 0, 0 or exit 1 }

# Where it really is. macOS is asked (F_GETPATH). Else the name is resolved, twice, and what is
# there in between has to be the opened file.
sub facts_real {
    my ($path) = @_;
    my $buffer = "\0" x 1024;
    if ($KERNEL eq "Darwin" && fcntl(STDIN, 50, $buffer)) {
        print $buffer =~ /^([^\0]*)/;
        return;
    }
    require Cwd;
    my $real = Cwd::abs_path($path);
    exit 1 unless defined $real && is_same($real) && $real eq Cwd::abs_path($path);
    print $real;
}

sub facts_reopen {
    my ($real, @command) = @_;
    require Fcntl;
    my $flags = Fcntl::O_RDONLY() | Fcntl::O_NONBLOCK() | Fcntl::O_NOFOLLOW();
    my @here = stat STDIN;
    my $again;
    my @there = sysopen($again, $real, $flags) ? stat $again : ();
    if (@there && $here[0] == $there[0] && $here[1] == $there[1]) { open STDIN, "<&", $again }
    else { facts_rewind() } # its name is another file's by now
    exec @command or fail("$command[0]: $!");
}

# ---- the tools, as far as we use them

sub tool_setsid {
    require POSIX;
    if (getpgrp() == $$) { my $pid = fork; exit 0 if $pid }
    POSIX::setsid();
    exec @_ or exit 127;
}

# The command and what it started are ended, as a process group.
sub tool_timeout {
    my ($limit, @command) = @_;
    my $pid = fork;
    if (!$pid) { setpgrp 0, 0; exec @command or exit 127 }
    my $late;
    $SIG{ALRM} = sub { $late ? kill "KILL", -$pid : kill "TERM", -$pid; $late = 1; alarm 1 };
    $SIG{$_} = sub { kill $_[0], -$pid } for qw(TERM INT HUP);
    alarm $limit;
    1 until waitpid($pid, 0) == $pid;
    exit 124 if $late;
    exit($? & 127 ? 128 + ($? & 127) : $? >> 8);
}

# flock -w SECONDS FD
sub tool_flock {
    my (undef, $limit, $number) = @_;
    open my $lock, ">>&=", $number or fail("$number: $!");
    for (0 .. 10 * $limit) {
        exit 0 if flock $lock, 2 | 4;
        select undef, undef, undef, 0.1;
    }
    exit 1;
}

sub digest {
    require Digest::SHA;
    my $sum = Digest::SHA->new(256);
    eval { $sum->addfile($_[0], "b"); 1 } or return;
    return $sum->hexdigest;
}

sub tool_sha256sum {
    return check_sums($_[1]) if @_ && $_[0] eq "-c";
    return print digest(*STDIN), "  -\n" unless @_;
    my $bad = 0;
    for my $file (@_) {
        my $sum = digest($file);
        if (!defined $sum) { print STDERR "sha256sum: $file: $!\n"; $bad = 1; next }
        my $shown = $file;
        my $mark = $shown =~ s/([\\\n])/$1 eq "\n" ? "\\n" : "\\\\"/ge ? "\\" : "";
        print "$mark$sum  $shown\n";
    }
    exit $bad;
}

sub check_sums {
    open my $list, "<", $_[0] or fail("$_[0]: $!");
    my $bad = 0;
    while (<$list>) {
        my ($mark, $sum, $file) = /^(\\?)([0-9a-f]{64}) [ *](.*)$/ or ++$bad, next;
        $file =~ s/\\(.)/$1 eq "n" ? "\n" : $1/ge if $mark;
        my $is = digest($file);
        ++$bad unless defined $is && $is eq $sum;
    }
    exit($bad ? 1 : 0);
}

# stat [-L] [-f] -c FORMAT FILE...; `-` is standard input
sub tool_stat {
    my ($format, %has);
    while (@_ && $_[0] =~ /^-(.+)/) {
        my $options = $1;
        shift;
        last if $options eq "-";
        $has{$1} = 1 while $options =~ s/^([Lf])//;
        $format = shift if $options eq "c";
    }
    my $bad = 0;
    for my $file (@_) {
        my %value = $has{f} ? file_system($file) : file_facts($file, $has{L});
        if (!%value) { print STDERR "stat: $file: $!\n"; $bad = 1; next }
        (my $line = $format) =~ s/%((?:\.\d)?\w)/exists $value{$1} ? $value{$1} : "?"/ge;
        print "$line\n";
    }
    exit $bad;
}

sub file_facts {
    my ($file, $follow) = @_;
    require Time::HiRes;
    my @s = $file eq "-" ? stat(STDIN) : $follow ? Time::HiRes::stat($file) : Time::HiRes::lstat($file) or return;
    return (
        s => $s[7], i => $s[1], u => $s[4], n => $file, f => sprintf("%x", $s[2]),
        Y => int $s[9], ".2Y" => sprintf("%.2f", int($s[9] * 100) / 100),
    );
}

# %a blocks of %S bytes are free, and %d files
sub file_system {
    my ($free, $files) = (df($_[0]))[1, 3] or return;
    return (a => $free, S => 1024, d => $files, T => "unknown");
}

# KiB in all and free, files used and free, and where it is mounted
sub df {
    my $line = (lines("df", "-ki", $_[0]))[1];
    my ($size, undef, $free, $used, $left, $at) =
        "$line" =~ m{\s(\d+)\s+(-?\d+)\s+(-?\d+)\s+-?\d+%\s+(\d+)\s+(\d+)\s+\S+\s+(/.*)$} or return;
    return ($size, $free < 0 ? 0 : $free, $used, $left, $at);
}

# df -Pi: the table of files that GNU prints
sub tool_df {
    own("df", @_) unless $_[0] eq "-Pi";
    my (undef, undef, $used, $left, $at) = df($_[1]) or exit 1;
    print "Filesystem Inodes IUsed IFree IUse% Mounted on\n", "- ", $used + $left, " $used $left - $at\n";
}

sub tool_readlink {
    own("readlink", @_) unless $_[0] eq "-f";
    require Cwd;
    my $real = Cwd::abs_path($_[1]);
    defined $real or exit 1;
    print "$real\n";
}

# touch -d @SECONDS FILE
sub tool_touch {
    own("touch", @_) unless $_[0] eq "-d" && $_[1] =~ /^@([\d.]+)$/;
    my $time = $1;
    require Time::HiRes;
    open my $file, ">>", $_[2] or fail("$_[2]: $!");
    Time::HiRes::utime($time, $time, $_[2]) or fail("$_[2]: $!");
}

# truncate -s BYTES FILE
sub tool_truncate {
    open my $file, ">>", $_[2] or fail("$_[2]: $!");
    truncate $file, $_[1] or fail("$_[2]: $!");
}

# dd [bs=] [count=] [skip=] [iflag=fullblock,count_bytes,skip_bytes]: reads what it is asked for, and
# no more
sub tool_dd {
    my %value = (bs => 512, skip => 0, iflag => "");
    for (@_) {
        my ($key, $value) = /^(bs|count|skip|iflag)=(.*)$/ or own("dd", @_);
        $value{$key} = $value;
    }
    my %flag = map { $_ => 1 } split /,/, $value{iflag};
    my $skip = $value{skip} * ($flag{skip_bytes} ? 1 : $value{bs});
    my $left = defined $value{count} ? $value{count} * ($flag{count_bytes} ? 1 : $value{bs}) : 9e15;
    if ($skip && !defined sysseek STDIN, $skip, 1) { copy($skip, undef) }
    copy($left, \*STDOUT);
}

sub copy {
    my ($left, $to) = @_;
    while ($left > 0) {
        my $count = sysread STDIN, my $bytes, $left < 131072 ? $left : 131072;
        return unless $count;
        $left -= $count;
        for (my $at = 0; $to && $at < $count;) {
            my $written = syswrite $to, $bytes, $count - $at, $at;
            defined $written or exit 1;
            $at += $written;
        }
    }
}
