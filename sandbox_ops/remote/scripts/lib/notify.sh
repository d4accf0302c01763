# shellcheck shell=sh
# Says by a webhook that a job has ended, from here, with no client connected.

# notify DIR: what DIR/notify asks for, once: the first to claim it sends it, we or a
# client. That file is private and goes: KEY, then URL, then what curl or wget takes as
# headers, one a line, an empty line, and the body, with @STATE@ for how the job ended.
# The URL is a secret: it is in no argument list. A dead webhook costs three tries.
notify() {
  dir=$1
  umask 077
  {
    read -r _key && read -r _url
  } <"$dir/notify" || return
  mkdir "$dir/notified" 2>/dev/null
  mkdir "$dir/notified/$_key" 2>/dev/null || {
    rm -f "$dir/notify"
    return
  }
  _code='' _reason=''
  # shellcheck disable=SC2046 # words
  set -- $(tr -d '\000' <"$dir/state" 2>/dev/null)
  for _word; do
    case $_word in
      code=*[!0-9]* | code=) ;;
      code=*) _code=${_word#code=} ;;
      reason=*[!a-z-]*) ;;
      reason=*) _reason=${_word#reason=} ;;
    esac
  done
  case $_code:$_reason in
    0:exited | 0:) _said=succeeded ;;
    *:exited | *:) _said="failed (exit code ${_code:-unknown})" ;;
    *) _said="ended: $_reason" ;;
  esac
  sed "3,\$s/@STATE@/$_said/g" "$dir/notify" >"$dir/notify.now"
  sed '1,/^$/d' "$dir/notify.now" >"$dir/notify.body"
  for _pause in 20 100 0; do
    if send_notification; then
      rm -f "$dir/notify" "$dir/notify."*
      return
    fi
    [ "$_pause" = 0 ] || pause "$_pause"
  done
  rmdir "$dir/notified/$_key" # a client that is connected may
  rm -f "$dir/notify" "$dir/notify."*
}

# send_notification: one try
send_notification() {
  if command -v curl >/dev/null 2>&1; then
    {
      printf 'url = "%s"\n' "$_url"
      sed -n '3,/^$/p' "$dir/notify.now" | sed -e '/^$/d' -e 's/["\\]/\\&/g' -e 's/.*/header = "&"/'
      printf 'data-binary = "@%s"\n' "$dir/notify.body"
    } | curl -q -f -s -m 20 -o /dev/null -K -
  elif wget --version 2>/dev/null | grep -q GNU; then
    set -- -q -T 20 -t 1 -O /dev/null "--post-file=$dir/notify.body"
    while read -r _header; do
      [ -n "$_header" ] || break
      set -- "$@" "--header=$_header"
    done <<EOF
$(sed -n '3,/^$/p' "$dir/notify.now")
EOF
    printf '%s\n' "$_url" | wget "$@" -i -
  else
    return 1
  fi
}
