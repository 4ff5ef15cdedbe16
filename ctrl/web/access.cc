#include "ctrl/web/access.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <system_error>

#include "base/printable.h"

namespace sluice::web {
namespace {

constexpr std::size_t kShortest = 32;
constexpr std::size_t kLongest = 512;
constexpr std::string_view kScheme = "Bearer ";

// Takes the same time wherever the texts differ.
bool IsEqual(const std::string& a, const std::string& b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

bool IsToken(const std::string& presented, const std::string& file) {
  if (file.empty()) return false;
  const auto token = ReadToken(file);
  return token.ok() && IsEqual(presented, *token);
}

}  // namespace

StatusOr<std::string> ReadToken(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return InvalidError("{}: cannot be opened: {}", path, std::generic_category().message(errno));
  std::string token(2 * kLongest, '\0');
  in.read(token.data(), static_cast<std::streamsize>(token.size()));
  token.resize(static_cast<std::size_t>(in.gcount()));
  constexpr std::string_view kSpace = " \t\r\n";
  token.erase(0, std::min(token.find_first_not_of(kSpace), token.size()));
  token.erase(token.find_last_not_of(kSpace) + 1);
  if (token.size() < kShortest || token.size() > kLongest) {
    return InvalidError("{}: a token has {} to {} characters, and this one has {}; `openssl rand -hex 32` makes one",
                        path, kShortest, kLongest, token.size());
  }
  if (!std::all_of(token.begin(), token.end(), [](char c) { return c > ' ' && c <= '~'; })) {
    return InvalidError("{}: a token has visible ASCII characters only, and no spaces", path);
  }
  return token;
}

Status Access::Check(const AccessOptions& options) {
  std::vector<std::string> tokens;
  for (const std::string& path : {options.read_token, options.quarantine_token}) {
    if (path.empty()) continue;
    SL_ASSIGN_OR_RETURN(std::string token, ReadToken(path));
    tokens.push_back(std::move(token));
  }
  if (tokens.size() == 2 && tokens[0] == tokens[1]) {
    return InvalidError("{} and {}: both have the same token, and they give different rights", options.read_token,
                        options.quarantine_token);
  }
  return OkStatus();
}

Visitor Access::Identify(const HttpRequest& request) const {
  const std::string header = request.Header("authorization");
  if (header.starts_with(kScheme)) {
    const std::string presented = header.substr(kScheme.size());
    if (IsToken(presented, options_.quarantine_token)) {
      return {Right::kQuarantine, "quarantine token", "the web page's quarantine token, from " + request.peer};
    }
    if (IsToken(presented, options_.read_token)) {
      return {Right::kRead, "read token", "the web page's read token, from " + request.peer};
    }
    return {};  // a wrong token is no reason to look for something else
  }
  const std::vector<std::string>& names = request.certificate_names;
  if (names.empty()) return {};
  const bool may_quarantine = std::any_of(names.begin(), names.end(), [&](const std::string& name) {
    return !name.empty() && std::find(options_.quarantine_names.begin(), options_.quarantine_names.end(), name) !=
                                options_.quarantine_names.end();
  });
  return {may_quarantine ? Right::kQuarantine : Right::kRead, "certificate " + names.front(),
          fmt::format("certificate {} by the web page, from {}", PrintableWord(names.front()), request.peer)};
}

bool IsFromElsewhere(const HttpRequest& request) {
  if (request.Header("sluice-page") != "1") return true;
  const std::string site = request.Header("sec-fetch-site");
  if (!site.empty() && site != "same-origin" && site != "none") return true;
  const std::string origin = request.Header("origin");
  if (origin.empty()) return false;
  return origin != (request.tls ? "https://" : "http://") + request.Header("host");
}

}  // namespace sluice::web
