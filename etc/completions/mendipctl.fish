# fish completion for mendipctl, which says itself what can follow. SPDX-License-Identifier: ISC
function __mendipctl_words
    set -l words (commandline -opc) (commandline -ct)
    $words[1] complete -- $words[2..-1] 2>/dev/null
end
# Where it has no word, there are file names.
complete -c mendipctl -f -n 'count (__mendipctl_words) >/dev/null' -a '(__mendipctl_words)'
complete -c mendipctl -s s -l socket -r -F
