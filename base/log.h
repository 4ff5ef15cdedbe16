// Logging: spdlog to stderr, seen only through this header.
//   LogInfo("attached {} to {} (ifindex {})", program, name, ifindex);
#pragma once

#include <spdlog/spdlog.h>

#include <utility>

namespace sluice {

template <typename... Args>
void LogInfo(fmt::format_string<Args...> format, Args&&... args) {
  spdlog::info(format, std::forward<Args>(args)...);
}
template <typename... Args>
void LogWarn(fmt::format_string<Args...> format, Args&&... args) {
  spdlog::warn(format, std::forward<Args>(args)...);
}
template <typename... Args>
void LogError(fmt::format_string<Args...> format, Args&&... args) {
  spdlog::error(format, std::forward<Args>(args)...);
}
template <typename... Args>
void LogDebug(fmt::format_string<Args...> format, Args&&... args) {
  spdlog::debug(format, std::forward<Args>(args)...);
}

// Once, in main: everything to stderr.
void InitLogging(bool debug);

// Whether LogDebug writes. Both thread-safe.
bool LogsDebug();
void SetLogsDebug(bool debug);

}  // namespace sluice
