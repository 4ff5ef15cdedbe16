#include "policy/resource/resource_syntax.h"

#include <fmt/format.h>

#include <algorithm>

#include "bpf/abi/policy.h"
#include "policy/resource/resource_scalar.h"

namespace sluice::policy {
namespace {

constexpr std::size_t kMaxDnsLabel = 63;
constexpr std::size_t kMaxDnsSubdomain = 253;
constexpr std::size_t kMaxLabelPart = 63;
constexpr std::size_t kMaxPortName = 15;
constexpr std::size_t kMaxInterfaceName = 15;  // IFNAMSIZ without its NUL
constexpr std::size_t kMaxPath = 4095;

bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
bool IsLowerOrDigit(char c) { return IsLower(c) || (c >= '0' && c <= '9'); }
bool IsAlphanumeric(char c) { return IsLowerOrDigit(c) || (c >= 'A' && c <= 'Z'); }

// True: `edge` characters at both ends; `edge` or `inner` characters between them.
bool IsFramed(std::string_view text, bool (*edge)(char), std::string_view inner) {
  return !text.empty() && edge(text.front()) && edge(text.back()) && std::all_of(text.begin(), text.end(), [&](char c) {
    return edge(c) || inner.find(c) != std::string_view::npos;
  });
}

bool IsDnsLabel(std::string_view text) { return text.size() <= kMaxDnsLabel && IsFramed(text, IsLowerOrDigit, "-"); }

bool IsDnsSubdomain(std::string_view text) {
  if (text.size() > kMaxDnsSubdomain) return false;
  for (;;) {
    const std::size_t dot = text.find('.');
    if (!IsFramed(text.substr(0, dot), IsLowerOrDigit, "-")) return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

bool IsLabelPart(std::string_view text) {
  return text.size() <= kMaxLabelPart && IsFramed(text, IsAlphanumeric, "-_.");
}

std::string Unless(bool valid, std::string_view text, std::string_view rule) {
  return valid ? "" : fmt::format("{} {}", Quoted(text), rule);
}

}  // namespace

std::string CheckDnsLabel(std::string_view text) {
  return Unless(IsDnsLabel(text), text,
                "is not a DNS-1123 label: at most 63 lower-case letters, digits and \"-\", a letter or digit at both "
                "ends");
}

std::string CheckDnsSubdomain(std::string_view text) {
  return Unless(IsDnsSubdomain(text), text,
                "is not a DNS-1123 subdomain: at most 253 lower-case letters, digits, \"-\" and \".\", a letter or "
                "digit at both ends of each part");
}

std::string CheckLabelKey(std::string_view text) {
  const std::size_t slash = text.find('/');
  const bool prefixed = slash != std::string_view::npos;
  const bool valid =
      (!prefixed || IsDnsSubdomain(text.substr(0, slash))) && IsLabelPart(prefixed ? text.substr(slash + 1) : text);
  return Unless(
      valid, text,
      "is not a label key: a name of at most 63 letters, digits, \"-\", \"_\" and \".\", a letter or digit at "
      "both ends, and before it optionally a DNS-1123 subdomain and \"/\"");
}

std::string CheckLabelValue(std::string_view text) {
  return Unless(text.empty() || IsLabelPart(text), text,
                "is not a label value: at most 63 letters, digits, \"-\", \"_\" and \".\", a letter or digit at both "
                "ends");
}

std::string CheckPortName(std::string_view text) {
  const bool valid = text.size() <= kMaxPortName && IsFramed(text, IsLowerOrDigit, "-") &&
                     std::any_of(text.begin(), text.end(), IsLower) && text.find("--") == std::string_view::npos;
  const bool number =
      !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (number)
    return fmt::format("{} is a string, so it is a port's name and needs a letter: write numbers without quotes",
                       Quoted(text));
  return Unless(valid, text,
                "is not a port name: at most 15 lower-case letters, digits and \"-\" (not at an end, not twice in a "
                "row), at least one letter");
}

std::string CheckInterfaceName(std::string_view text) {
  const bool valid =
      !text.empty() && text.size() <= kMaxInterfaceName && text != "." && text != ".." &&
      std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f && c != '/' && c != ':'; });
  return Unless(valid, text, "is not the name of a network interface: 1 to 15 characters, no space, \"/\" or \":\"");
}

std::string CheckAbsolutePath(std::string_view text) {
  const bool valid = text.starts_with('/') && text.size() <= kMaxPath &&
                     std::none_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
  return Unless(valid, text, "is not an absolute path: it must start with \"/\"");
}

bool HasPlainComponents(std::string_view path) {
  if (path.starts_with('/')) path.remove_prefix(1);
  for (;;) {
    const std::size_t slash = path.find('/');
    const std::string_view component = path.substr(0, slash);
    if (component.empty() || component == "." || component == "..") return false;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
}

std::string CheckProgramPattern(std::string_view text) {
  if (text.size() > SL_PROGRAM_PATH_MAX) {
    return fmt::format("a pattern of {} bytes: at most {} are matched", text.size(), SL_PROGRAM_PATH_MAX);
  }
  const bool absolute = text.starts_with('/') || text.starts_with("**");
  if (!absolute || text.find('\0') != std::string_view::npos) {
    return Unless(false, text, "is not a pattern of absolute paths: it must start with \"/\" or \"**\"");
  }
  return Unless(HasPlainComponents(text), text,
                "matches no program: a path has no component that is empty, \".\" or \"..\"");
}

}  // namespace sluice::policy
