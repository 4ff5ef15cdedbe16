#include "telemetry/redaction.h"

#include <re2/re2.h>

#include <algorithm>

namespace sluice::telemetry {
namespace {

// Half a match may be an argument's end and half another's beginning.
struct Span {
  std::size_t begin, end;
};

// What programs and people call secrets, as an option's or a variable's value, in a header, or in a URL.
// Here a line end stands between two arguments, so that "the rest of this argument" can be said.
#define SL_SECRET                                                                                     \
  "(?:passwords?|passwd|passphrase|secrets?|tokens?|api[-_]?keys?|access[-_]?keys?|secret[-_]?keys?|" \
  "private[-_]?keys?|credentials?)"

constexpr const char* kBuiltIn[] = {
    // --password=x, PGPASSWORD=x, "token": "x", ?access_token=x
    R"((?i)(?:^|[\s"'&?;,{-])[a-z0-9_.-]*)" SL_SECRET R"(["']?\s*[=:]\s*["']?([^\s"'&;,]+))",
    // --password="x y", --password x
    R"((?i)(?:^|\n)--?[a-z0-9_.-]*)" SL_SECRET R"(=([^\n]+))",
    R"((?i)(?:^|\s)--?[a-z0-9_.-]*)" SL_SECRET R"(\n([^\n-][^\n]*))",
    // The same inside one argument: sh -c "x --password y"
    R"((?i)(?:^|\s)--?[a-z0-9_.-]*)" SL_SECRET R"( +([^\s-]\S*))",
    // Authorization: Basic x
    R"((?i)\b(?:proxy-)?authorization["']?\s*[:=]\s*["']?(?:(?:basic|bearer|digest|negotiate|token)\s+)?([^\s"']+))",
    R"((?i)\bx-[a-z-]*(?:token|key)["']?\s*[:=]\s*["']?([^\s"']+))",
    R"((?i)\bbearer\s+([a-z0-9+/_.=-]{16,}))",
    // scheme://user:x@host
    R"((?i)\b[a-z][a-z0-9+.-]*://[^\s/:@]*:([^\s/@]+)@)",
    // curl -u user:x, but no numbers of a user and a group
    R"((?:^|\s)(?:-u|--user|--proxy-user)[\s=]?[^\s:]+:(\S*[^\s0-9]\S*))",
    R"(\b(?:mysql|mysqldump|mysqladmin|mariadb|mariadb-dump|mariadb-admin)\s(?:\S+\s)*?-p(\S+))",
    R"(\bsshpass\s(?:\S+\s)*?-p\s?(\S+))",
    // What is a token by its looks: JSON web tokens, and those of large providers.
    R"(\b(eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)\b)",
    R"(\b((?:AKIA|ASIA)[A-Z0-9]{16}|gh[pousr]_[A-Za-z0-9]{20,}|glpat-[A-Za-z0-9_-]{16,}|xox[abprs]-[A-Za-z0-9-]{10,})\b)",
};

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
    // What was read for one match may begin the next: go on where the last group ended, at least one byte further.
    std::size_t next = end;
    if (groups > 1 && found.back().data() != nullptr && !found.back().empty()) {
      next = std::min(end, offset(found.back()) + found.back().size());
    }
    from = std::max(next, from + 1);
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
    // Where the one before ended here it has left its mark.
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

Redaction::Redaction(Patterns own, Patterns built_in) : own_(std::move(own)), built_in_(std::move(built_in)) {}
Redaction::~Redaction() = default;

StatusOr<std::shared_ptr<const Redaction>> Redaction::Make(const Options& options) {
  SL_ASSIGN_OR_RETURN(Patterns own, Compile(options.patterns));
  SL_ASSIGN_OR_RETURN(Patterns built_in,
                      Compile(options.built_in ? std::vector<std::string>(std::begin(kBuiltIn), std::end(kBuiltIn))
                                               : std::vector<std::string>()));
  return std::shared_ptr<const Redaction>(new Redaction(std::move(own), std::move(built_in)));
}

void Redaction::Apply(std::string* argument0, std::vector<std::string>* arguments) const {
  std::vector<Span> spans;
  const auto find = [&](const Patterns& patterns, char between) {
    std::string line = *argument0;
    for (const std::string& argument : *arguments) line += between + argument;
    for (const auto& pattern : patterns) AddSpans(*pattern, line, spans);
  };
  find(own_, ' ');
  find(built_in_, '\n');
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
