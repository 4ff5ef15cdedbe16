// One resource: it is listed, page by page, and then watched; after what breaks that, again. A state machine without
// threads, sockets and clocks of its own.
//
// Each rule is in docs/kubernetes.md with the test that holds it. What was known stays known until a complete, believed
// list (distrust.h) or an event says otherwise: no failure removes anything.
#pragma once

#include <optional>
#include <string>

#include "ctrl/kube/backoff.h"
#include "ctrl/kube/distrust.h"
#include "ctrl/kube/http.h"
#include "ctrl/kube/line_reader.h"
#include "ctrl/kube/list_reader.h"
#include "ctrl/kube/options.h"
#include "ctrl/kube/resource_spec.h"
#include "ctrl/kube/sink.h"
#include "ctrl/kube/state.h"
#include "ctrl/kube/store.h"

namespace sluice::kube {

struct ApiStatus;

class ListWatch final : public HttpHandler {
 public:
  // What all resources share. Must outlive this.
  struct Shared {
    ClientOptions options;
    Environment environment;
    Transport* transport = nullptr;
    Sink* sink = nullptr;
    simdjson::dom::parser* parser = nullptr;
  };

  ListWatch(ResourceSpec spec, const Shared& shared);
  ~ListWatch() override;
  ListWatch(const ListWatch&) = delete;
  ListWatch& operator=(const ListWatch&) = delete;

  // Starts what is due, and ends what hangs.
  void Tick();
  // When Tick has something to do next.
  TimePoint NextTick() const;
  // Gives the sink what came since the last time.
  void Flush();

  const ResourceState& state() const { return state_; }

  void OnHead(const HttpHead& head) override;
  bool OnBody(std::string_view data) override;
  void OnEnd(const Status& status) override;

 private:
  enum class Running { kNothing, kPage, kWatch };
  // Why the reader gave an exchange up.
  struct Stop {
    Status error;          // not OK: give up
    bool expired = false;  // the server said 410
    bool must_list = false;
  };

  void StartPage();
  void StartWatch();
  void Start(Running what, HttpRequest request);
  void EndHanging(TimePoint now);

  void EndPage(const Status& status);
  void FinishList();
  void EndWatch(const Status& status);
  void EndRefused();
  void EndAbsent();
  void CountEmptyWatch();

  bool TakeLines();
  Status TakeEvent(std::string_view line);
  Status TakeErrorEvent(const ApiStatus& status);

  void Expired();
  void Distrusted(const std::string& seen);
  void Trusted();
  // Tries again after the backoff, or after `at_least` if that is longer.
  void Fail(const std::string& what, std::chrono::seconds at_least = std::chrono::seconds(0));
  void Wait(std::chrono::seconds at_least = std::chrono::seconds(0));

  // True: the resource has a path of another version, which is asked for next.
  bool TryOtherPath();

  ResourceSpec spec_;  // with the path in use
  const Shared& shared_;
  const Timing& timing_;
  const Limits& limits_;
  ResourceState state_;
  Store store_;
  Batch batch_;  // for the next Flush
  Backoff backoff_;
  Distrust distrust_;
  ListReader list_;
  LineReader lines_;

  TimePoint due_;  // of the next request while none is running
  bool must_list_ = true;
  bool other_path_tried_ = false;  // since the server last had the path
  bool is_absent_ = false;         // as the sink knows
  bool fresh_connection_ = false;  // the next request makes one
  bool token_reread_ = false;      // since the last answer that was no 401
  std::size_t expirations_ = 0;    // in a row without an event
  std::size_t empty_watches_ = 0;  // in a row
  std::size_t page_objects_;
  std::string resource_version_;  // as of which the store is complete

  // Of the running exchange.
  Running running_ = Running::kNothing;
  const char* doing_ = "list";  // that or "watch", for errors; also of the last exchange
  std::uint64_t exchange_ = 0;
  HttpHead head_;
  std::string body_;  // of a page, or of a response with an error code
  Stop stop_;
  TimePoint started_;
  TimePoint header_deadline_;  // of a watch
  TimePoint deadline_;         // of a watch
  std::size_t events_ = 0;     // of a watch
};

}  // namespace sluice::kube
