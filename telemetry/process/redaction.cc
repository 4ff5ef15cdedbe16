#include "telemetry/process/redaction.h"

#include <re2/re2.h>

#include <algorithm>

namespace sluice::telemetry {
namespace {

// A match may begin in one argument and end in the next.
struct Span {
  std::size_t begin, end;
};

// Usual names of secrets in options, variables, headers and URLs.
#define SL_SECRET                                                                                     \
  "(?:passwords?|passwd|passphrase|secrets?|tokens?|api[-_]?keys?|access[-_]?keys?|secret[-_]?keys?|" \
  "private[-_]?keys?|credentials?)"
// Two arguments are separated by NUL here, so that a pattern can match "the rest of this argument".
#define SL_SPACE R"([\s\x00])"
#define SL_WORD R"([^\s\x00])"
#define SL_REST R"([^\x00])"
#define SL_OPTION "(?i)(?:^|" SL_SPACE ")--?[a-z0-9_.-]*" SL_SECRET
// Text in quotes, up to the closing quote.
#define SL_QUOTED R"((?:\\["']([^"'\\\x00]+)|"((?:[^"\\\x00]|\\[^\x00])+)|'([^'\x00]+)))"
#define SL_PRIVATE_KEY "[A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----"
#define SL_MYSQL R"(\b(?:mysql|mysqldump|mysqladmin|mariadb|mariadb-dump|mariadb-admin))"

constexpr const char* kBuiltIn[] = {
    // In the middle of an argument: PGPASSWORD=x, "token": "x", ?access_token=x
    R"((?i)(?:^|[\s\x00"'&?;,{-])[a-z0-9_.-]*)" SL_SECRET R"(\\?["']?\s*[=:])" SL_SPACE "*(?:" SL_QUOTED
    R"(|([^\s\x00"'&;,]+(?:,[^\s\x00"'&;,]+)*)))",
    // --password x
    SL_OPTION R"(\x00([^\x00-])" SL_REST "*)",
    // The same inside one argument: sh -c "x --password y"
    SL_OPTION " +(?:" SL_QUOTED R"(|([^\s\x00"'-])" SL_WORD "*))",
    // Authorization: Basic x
    R"((?i)\b(?:proxy-)?authorization["']?\s*[:=])" SL_SPACE
    R"(*["']?(?:(?:basic|bearer|digest|negotiate|token))" SL_SPACE R"(+)?([^\x00\r\n"']+))",
    R"((?i)\bx-[a-z-]*(?:token|key)["']?\s*[:=])" SL_SPACE R"(*["']?([^\s\x00"']+))",
    R"((?i)\bbearer)" SL_SPACE "+([a-z0-9+/_.=-]{16,})",
    // scheme://user:x@host
    R"((?i)\b[a-z][a-z0-9+.-]*://[^\s\x00/:@]*:([^\s\x00/@]+)@)",
    // curl -u user:x, but no numbers of a user and a group
    R"((?:^|\x00)(?:-u|--user|--proxy-user)[\x00=]?[^\s\x00:]+:([^\x00]*[^\x000-9][^\x00]*))",
    "(?:^|" SL_SPACE R"()(?:-u|--user|--proxy-user)[\s\x00=]?[^\s\x00:]+:([^\s\x00]*[^\s\x000-9][^\s\x00]*))",
    SL_MYSQL R"(\x00(?:[^\x00]*\x00)*?-p([^\x00]+))",
    SL_MYSQL SL_SPACE "(?:" SL_WORD "+" SL_SPACE ")*?-p(" SL_WORD "+)",
    R"(\bsshpass\x00(?:[^\x00]*\x00)*?-p\x00?([^\x00]+))",
    R"(\bsshpass)" SL_SPACE "(?:" SL_WORD "+" SL_SPACE ")*?-p" SL_SPACE "?(" SL_WORD "+)",
    // Tokens that are known by their form: private keys, JSON web tokens, and tokens of large providers.
    "-----BEGIN " SL_PRIVATE_KEY R"(([^\x00]*?)(?:-----END|\x00|$))",
    R"(\b(eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)\b)",
    R"(\b((?:AKIA|ASIA)[A-Z0-9]{16}|gh[pousr]_[A-Za-z0-9]{20,}|glpat-[A-Za-z0-9_-]{16,}|xox[abprs]-[A-Za-z0-9-]{10,})\b)",
};
// The beginning of a whole argument NAME=VALUE or --name=VALUE.
constexpr const char* kAssignment = "(?i)[a-z0-9_.-]*" SL_SECRET "=";

constexpr std::int64_t kPatternMemory = 4 << 20;

void AddSpans(const re2::RE2& pattern, const std::string& line, std::vector<Span>& spans) {
  const int groups = pattern.NumberOfCapturingGroups() + 1;
  std::vector<re2::StringPiece> found(static_cast<std::size_t>(groups));
  std::size_t from = 0;
  while (from <= line.size() && pattern.Match(line, from, line.size(), re2::RE2::UNANCHORED, found.data(), groups)) {
    const auto offset = [&](const re2::StringPiece& part) {
      return static_cast<std::size_t>(part.data() - line.data());
    };
    for (int group = groups == 1 ? 0 : 1; group < groups; ++group) {
      const re2::StringPiece& part = found[static_cast<std::size_t>(group)];
      if (part.data() != nullptr && !part.empty()) spans.push_back({offset(part), offset(part) + part.size()});
    }
    const std::size_t end = offset(found[0]) + found[0].size();
    // The end of one match may begin the next one: continue where the last group ended, at least one byte further.
    std::size_t next = end;
    if (groups > 1 && found.back().data() != nullptr && !found.back().empty()) {
      next = std::min(end, offset(found.back()) + found.back().size());
    }
    from = std::max(next, from + 1);
  }
}

// sh -c, bash -lc: the next argument is a script, so an assignment's value does not extend to the argument's end.
bool TakesAScript(const std::string& argument) {
  return argument.size() >= 2 && argument.front() == '-' && argument.back() == 'c' && argument[1] != '-';
}

// The values of arguments whose beginning matches `pattern`.
void AddValues(const re2::RE2& pattern, const std::string& argument0, const std::vector<std::string>& arguments,
               std::vector<Span>& spans) {
  std::size_t at = argument0.size() + 1;
  const std::string* previous = &argument0;
  for (const std::string& argument : arguments) {
    re2::StringPiece name;
    if (!TakesAScript(*previous) && pattern.Match(argument, 0, argument.size(), re2::RE2::ANCHOR_START, &name, 1)) {
      spans.push_back({at + name.size(), at + argument.size()});
    }
    at += argument.size() + 1;
    previous = &argument;
  }
}

// `argument` begins at `at` in the line.
std::string Cut(const std::string& argument, std::size_t at, const std::vector<Span>& spans) {
  std::string out;
  std::size_t done = at;
  const std::size_t end = at + argument.size();
  for (const Span& span : spans) {
    const std::size_t begin = std::max(span.begin, done);
    const std::size_t stop = std::min(span.end, end);
    if (begin >= stop) continue;
    out += argument.substr(done - at, begin - done);
    // If the previous span ended here, its mark is already there.
    if (begin != done || done == at || !out.ends_with(Redaction::kMark)) out += Redaction::kMark;
    done = stop;
  }
  return out + argument.substr(done - at);
}

StatusOr<std::vector<std::unique_ptr<re2::RE2>>> Compile(const std::vector<std::string>& texts) {
  re2::RE2::Options how(re2::RE2::Quiet);
  how.set_max_mem(kPatternMemory);
  how.set_encoding(re2::RE2::Options::EncodingLatin1);  // arguments are bytes
  how.set_dot_nl(true);
  std::vector<std::unique_ptr<re2::RE2>> patterns;
  for (const std::string& text : texts) {
    auto pattern = std::make_unique<re2::RE2>(text, how);
    if (!pattern->ok()) return InvalidError("pattern {}: {}", text, pattern->error());
    if (re2::RE2::FullMatch("", *pattern)) return InvalidError("pattern {}: matches the empty text", text);
    patterns.push_back(std::move(pattern));
  }
  return patterns;
}

}  // namespace

Redaction::Redaction(Patterns own, Patterns built_in, Patterns assignments)
    : own_(std::move(own)), built_in_(std::move(built_in)), assignments_(std::move(assignments)) {}
Redaction::~Redaction() = default;

StatusOr<std::shared_ptr<const Redaction>> Redaction::Make(const Options& options) {
  SL_ASSIGN_OR_RETURN(Patterns own, Compile(options.patterns));
  Patterns built_in, assignments;
  if (options.built_in) {
    SL_ASSIGN_OR_RETURN(built_in, Compile({std::begin(kBuiltIn), std::end(kBuiltIn)}));
    SL_ASSIGN_OR_RETURN(assignments, Compile({kAssignment}));
  }
  return std::shared_ptr<const Redaction>(new Redaction(std::move(own), std::move(built_in), std::move(assignments)));
}

void Redaction::Apply(std::string* argument0, std::vector<std::string>* arguments) const {
  std::vector<Span> spans;
  const auto find = [&](const Patterns& patterns, char between) {
    std::string line = *argument0;
    for (const std::string& argument : *arguments) line += between + argument;
    for (const auto& pattern : patterns) AddSpans(*pattern, line, spans);
  };
  find(own_, ' ');
  find(built_in_, '\0');
  for (const auto& pattern : assignments_) AddValues(*pattern, *argument0, *arguments, spans);
  if (spans.empty()) return;
  std::sort(spans.begin(), spans.end(), [](const Span& a, const Span& b) { return a.begin < b.begin; });
  std::size_t at = 0;
  const auto cut = [&](std::string& argument) {
    const std::size_t size = argument.size();
    argument = Cut(argument, at, spans);
    at += size + 1;
  };
  cut(*argument0);
  for (std::string& argument : *arguments) cut(argument);
}

}  // namespace sluice::telemetry
