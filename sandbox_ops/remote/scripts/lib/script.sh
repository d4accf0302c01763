# shellcheck shell=sh
# What our scripts that run once have in common (`# uses:`); workers do not read it. So a function
# here calls only others of this file.

# fail KIND WHY: ends the script with that error; kinds as in errors.py
fail() {
  printf 'error=%s %s\n' "$1" "$(printf %s "$2" | tr '\n' ' ')"
  exit 75
}

# refuse WHY: ends the script: something has to change first
refuse() {
  fail refused "$1"
}

# git_never_asks: git reaches its server as the user set it up, without a question that nobody sees
git_never_asks() {
  GIT_SSH_COMMAND="${GIT_SSH_COMMAND:-$(git config core.sshCommand || echo ssh)} -o BatchMode=yes -o ConnectTimeout=20"
  export GIT_SSH_COMMAND
}

# take_bytes N: the next N bytes of the input, no more; in large blocks where dd counts in bytes
take_bytes() {
  if dd iflag=fullblock,count_bytes count=0 </dev/null >/dev/null 2>&1; then
    dd bs=131072 iflag=fullblock,count_bytes count="$1" 2>/dev/null
  else
    head -c "$1"
  fi
}

# find_sum: SUM = what prints the SHA-256 of its input or of files; OpenSSL knows the processor's
# own instructions, coreutils may not
find_sum() {
  SUM=sha256sum
  ! openssl dgst -sha256 -r </dev/null >/dev/null 2>&1 || SUM='openssl dgst -sha256 -r'
}
