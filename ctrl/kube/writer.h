// Requests that change something at the API server: patches of status, and Events. They wait in a bounded queue for
// each class and start at a limited rate, so that no failure here can load the server.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "ctrl/kube/http.h"
#include "ctrl/kube/options.h"
#include "ctrl/kube/state.h"
#include "ctrl/kube/token_bucket.h"

namespace simdjson::dom {
class parser;
}  // namespace simdjson::dom

namespace sluice::kube {

struct Write {
  std::string method = "PATCH";
  std::string path;  // with the query, encoded
  std::string content_type = "application/merge-patch+json";
  std::string body;
  bool ok_if_there = false;  // 409 is success: what was to be made is there
  // OK: the server did it. Called once: on the client's thread, by Send when the queue was full, or by the destructor
  // (Cancelled). May be empty. It may not call the client.
  std::function<void(const Status&)> done;
};

class Writer {
 public:
  Writer(const ClientOptions& options, const Environment& environment, Transport& transport,
         simdjson::dom::parser& parser);
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // From any thread. A full queue loses its oldest write, whose `done` is called with ResourceExhausted.
  void Send(Write write);

  // On the client's thread.
  void Tick();
  TimePoint NextTick();
  // From any thread.
  WriteState state() const;

 private:
  // POSTs of Events have a queue and a rate of their own: a burst of them must not delay a status.
  enum Class { kEvents, kOthers, kClasses };
  struct Waiting {
    Write write;
    std::size_t tries = 0;
    TimePoint due;
  };
  class Exchange;

  static Class ClassOf(const Write& write);
  void End(Exchange& exchange, const Status& status);

  const ClientOptions& options_;
  const Environment& environment_;
  Transport& transport_;
  simdjson::dom::parser& parser_;
  std::map<Class, TokenBucket> buckets_;
  std::map<std::uint64_t, std::unique_ptr<Exchange>> running_;
  std::vector<std::unique_ptr<Exchange>> ended_;  // freed in Tick, as they may be on the stack

  mutable std::mutex mutex_;  // of what follows
  std::array<std::deque<Waiting>, kClasses> queues_;
  WriteState state_;
};

}  // namespace sluice::kube
