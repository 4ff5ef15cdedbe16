// Text from outside (names of programs, arguments, paths, messages of others) for a terminal or a log. Pure.
//
// Whoever chooses such a text must not be able to move the cursor, to forge a line, or to make two texts look alike:
// control characters (C0, DEL, C1), line separators, and what changes the direction of text or is invisible become
// escapes (\x1b, \u202e); a byte that is not part of a character becomes \xNN.
#pragma once

#include <string>
#include <string_view>

namespace sluice {

// The length of the character at the start of `text` (RFC 3629: no overlong forms, no surrogates); 0: there is none.
std::size_t Utf8Length(std::string_view text);

// What a terminal may obey, or hides. `character`: a code point.
bool IsHidden(char32_t character);

// For a message or a name that stands alone: everything but what must be escaped stays as it is. No line ends.
std::string Printable(std::string_view text);
// The same, with line ends where `text` has them: a message of several lines.
std::string PrintableLines(std::string_view text);
// For one word among others: in double quotes where it has spaces, quotes, backslashes or escapes in it, or is empty.
// Different words never give the same text.
std::string PrintableWord(std::string_view word);

// For JSON text, which escapes C0 itself: what else is hidden becomes \uNNNN. Means the same.
std::string PrintableJson(std::string_view json);

}  // namespace sluice
