// Directories that most systems have merged into /usr (https://systemd.io/THE_CASE_FOR_THE_USR_MERGE): /bin, /sbin,
// /lib, /lib32 and /lib64 are links there, and the kernel knows /bin/curl as /usr/bin/curl. Pure.
#pragma once

#include <algorithm>
#include <iterator>
#include <optional>
#include <string_view>

namespace sluice::policy {

inline constexpr std::string_view kMergedDirectories[] = {"/bin/", "/sbin/", "/lib/", "/lib32/", "/lib64/"};

// `path` as a rule may write it: "/bin/curl" for "/usr/bin/curl". Absent: a rule for `text` does not mean another path.
inline std::optional<std::string_view> BeforeMerge(std::string_view text, std::string_view path) {
  const bool merged = std::any_of(std::begin(kMergedDirectories), std::end(kMergedDirectories),
                                  [&](auto directory) { return text.starts_with(directory); });
  if (!merged || !path.starts_with("/usr/")) return std::nullopt;
  return path.substr(std::string_view("/usr").size());
}

}  // namespace sluice::policy
