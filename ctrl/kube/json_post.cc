#include "ctrl/kube/json_post.h"

namespace sluice::kube {
namespace {

using namespace std::chrono_literals;

constexpr auto kLookForEnd = 100ms;
constexpr std::size_t kMaxAnswerBytes = 64U << 10U;
constexpr int kRequestTimeout = 408;
constexpr int kTooManyRequests = 429;

class Handler final : public HttpHandler {
 public:
  void OnHead(const HttpHead& head) override { answer_.head = head; }
  bool OnBody(std::string_view data) override { return (bytes_ += data.size()) <= kMaxAnswerBytes; }
  void OnEnd(const Status& status) override {
    answer_.status = status;
    ended_ = true;
  }
  bool ended() const { return ended_; }
  const PostAnswer& answer() const { return answer_; }

 private:
  PostAnswer answer_;
  std::size_t bytes_ = 0;
  bool ended_ = false;
};

}  // namespace

UrlParts PartsOf(const std::string& url) {
  const std::size_t slash = url.find('/', url.find("://") + 3);
  return {.server = url.substr(0, slash), .path = slash == std::string::npos ? "/" : url.substr(slash)};
}

bool MayPass(int code) { return code >= 500 || code == kTooManyRequests || code == kRequestTimeout; }

std::optional<PostAnswer> PostJson(CurlTransport& transport, const std::string& path, const std::string& json,
                                   std::chrono::milliseconds timeout, const std::atomic<bool>& interrupted) {
  transport.RefreshCredentials();
  Handler handler;
  const std::uint64_t exchange = transport.Start(
      {.method = "POST", .path = path, .content_type = "application/json", .body = json, .timeout = timeout}, &handler);
  while (!handler.ended() && !interrupted) transport.Run(kLookForEnd);
  if (handler.ended()) return handler.answer();
  transport.Cancel(exchange);
  return std::nullopt;
}

}  // namespace sluice::kube
