// How operators compare texts. Pure; linear in the text but for patterns, which are bounded by text times pattern.
#pragma once

#include <string>
#include <string_view>

namespace sluice::policy::rules {

// The whole text matches, as fnmatch(3) without flags in the C locale decides: "*" and "?" match "/" too; "[a-z]",
// "[!a]",
// "[[:alpha:]]"; "\" quotes the next byte. A "[" without its "]" is itself. With `fold`, ASCII letters match both
// cases.
bool MatchesGlob(std::string_view pattern, std::string_view text, bool fold = false);

// ASCII letters of both cases are equal.
bool ContainsFolded(std::string_view text, std::string_view part);
std::string Folded(std::string_view text);
char Fold(char c);

// Each byte that is not part of a UTF-8 character becomes U+FFFD, as it does before a regex looks at the text.
std::string ValidUtf8(std::string_view text);

}  // namespace sluice::policy::rules
