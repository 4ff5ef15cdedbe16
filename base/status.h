// Errors: absl::Status and absl::StatusOr, seen only through this header.
//
// A fallible function returns Status or StatusOr; nothing throws past the file that includes a throwing library.
// errno becomes a Status once, at the call, with the name of the object:
//   if (fd < 0) return ErrnoError(errno, "open {}", path);
// Log or return, never both: the top of the call chain logs.
#pragma once

#include <string>
#include <utility>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <fmt/format.h>

namespace sluice {

using Status = absl::Status;
template <typename T>
using StatusOr = absl::StatusOr<T>;

inline Status OkStatus() { return absl::OkStatus(); }

// The message as a std::string: Debian's absl::string_view is not std::string_view.
inline std::string Message(const Status& status) { return std::string(status.message()); }

template <typename... Args>
Status MakeError(absl::StatusCode code, fmt::format_string<Args...> format, Args&&... args) {
  return Status(code, fmt::format(format, std::forward<Args>(args)...));
}

template <typename... Args>
Status InvalidError(fmt::format_string<Args...> format, Args&&... args) {
  return Status(absl::StatusCode::kInvalidArgument, fmt::format(format, std::forward<Args>(args)...));
}

// `err` is an errno value, positive or negative (libbpf returns -errno).
template <typename... Args>
Status ErrnoError(int err, fmt::format_string<Args...> format, Args&&... args) {
  return absl::ErrnoToStatus(err < 0 ? -err : err, fmt::format(format, std::forward<Args>(args)...));
}

// The same error, with the operation in front of it.
inline Status Annotate(const Status& status, const std::string& doing) {
  return status.ok() ? status : Status(status.code(), doing + ": " + Message(status));
}

}  // namespace sluice

#define SL_CONCAT_INNER(a, b) a##b
#define SL_CONCAT(a, b) SL_CONCAT_INNER(a, b)

#define SL_RETURN_IF_ERROR(expr)                                                \
  do {                                                                          \
    if (::sluice::Status sl_status = (expr); !sl_status.ok()) return sl_status; \
  } while (false)

#define SL_ASSIGN_OR_RETURN(lhs, expr) SL_ASSIGN_OR_RETURN_IMPL(SL_CONCAT(sl_or_, __LINE__), lhs, expr)
#define SL_ASSIGN_OR_RETURN_IMPL(tmp, lhs, expr) \
  auto tmp = (expr);                             \
  if (!tmp.ok()) return tmp.status();            \
  lhs = std::move(tmp).value()
