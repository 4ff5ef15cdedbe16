#include "ctrl/kube/credentials.h"

#include <absl/strings/ascii.h>

#include <algorithm>
#include <utility>

namespace sluice::kube {
namespace {

StatusOr<std::string> TextOf(const FileOrText& source) {
  if (source.file.empty()) return source.text;
  return ReadSmallFile(source.file);
}

// A line end at its end belongs to the file; within it, it would begin another header.
StatusOr<std::string> TokenOf(const FileOrText& source) {
  SL_ASSIGN_OR_RETURN(const std::string text, TextOf(source));
  const std::string token(absl::StripAsciiWhitespace(text));
  if (token.empty() && !source.file.empty()) return InvalidError("{}: is empty", source.file);
  if (std::any_of(token.begin(), token.end(), [](unsigned char c) { return c <= 0x20 || c >= 0x7f; })) {
    return InvalidError("{}: the token has a character that no token has",
                        source.file.empty() ? "the configuration" : source.file);
  }
  return token;
}

}  // namespace

Credentials::Credentials(const ApiConfig& config, const Timing& timing)
    : config_(config), interval_(timing.credentials) {}

void Credentials::Refresh(TimePoint now) {
  if (!read_ || now - *read_ >= interval_) Reread(now);
}

bool Credentials::Reread(TimePoint now) {
  read_ = now;
  StatusOr<Values> values = Read();
  status_ = values.status();
  if (!values.ok() || *values == values_) return false;
  values_ = std::move(*values);
  return true;
}

StatusOr<Credentials::Values> Credentials::Read() const {
  Values values;
  SL_ASSIGN_OR_RETURN(values.token, TokenOf(config_.token));
  SL_ASSIGN_OR_RETURN(values.ca, TextOf(config_.ca));
  SL_ASSIGN_OR_RETURN(values.client_certificate, TextOf(config_.client_certificate));
  SL_ASSIGN_OR_RETURN(values.client_key, TextOf(config_.client_key));
  return values;
}

}  // namespace sluice::kube
