# fish completion for mendipctl, which says itself what can follow. SPDX-License-Identifier: ISC
function __mendipctl_words
    set -l words (commandline -opc) (commandline -ct)
    $words[1] complete -- $words[2..-1] 2>/dev/null
end
# Asks once, for the condition and the words. Where there is no word, there are file names.
function __mendipctl_has_words
    set -g __mendipctl_found (__mendipctl_words)
    count $__mendipctl_found >/dev/null
end
complete -c mendipctl -f -n __mendipctl_has_words -a '(string join \n -- $__mendipctl_found)'
complete -c mendipctl -s s -l socket -r -F
