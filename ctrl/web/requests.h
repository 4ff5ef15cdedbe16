// Answers the requests of the page: its files, and the agent's facts as JSON. docs/web.md lists them. Bounded: each
// answer has a most number of entries, and the work for one kind of question is done by one thread at a time.
// Thread-safe.
#pragma once

#include <chrono>
#include <mutex>
#include <string>

#include "api/web.pb.h"
#include "ctrl/api/refusal_rate.h"
#include "ctrl/api/service.h"
#include "ctrl/web/access.h"
#include "ctrl/web/http.h"

namespace sluice::web {

class Requests {
 public:
  // `service` outlives this.
  Requests(api::Service* service, AccessOptions access) : service_(service), access_(std::move(access)) {}

  HttpReply Answer(const HttpRequest& request);

 private:
  using Method = StatusOr<std::string> (Requests::*)(const HttpRequest&, const Visitor&);  // returns JSON
  struct Route {
    const char* method;
    const char* path;
    Method answer;
  };
  static const Route kRoutes[];

  HttpReply AnswerPage(const HttpRequest& request) const;
  HttpReply AnswerRoute(const Route& route, const HttpRequest& request);

  StatusOr<std::string> ReadSession(const HttpRequest& request, const Visitor& visitor);
  StatusOr<std::string> ReadMap(const HttpRequest& request, const Visitor& visitor);
  StatusOr<std::string> ReadEvents(const HttpRequest& request, const Visitor& visitor);
  StatusOr<std::string> ReadProcesses(const HttpRequest& request, const Visitor& visitor);
  StatusOr<std::string> ReadStatus(const HttpRequest& request, const Visitor& visitor);
  StatusOr<std::string> Explain(const HttpRequest& request, const Visitor& visitor);
  StatusOr<std::string> MakePreview(const HttpRequest& request, const Visitor& visitor);
  StatusOr<std::string> SetQuarantine(const HttpRequest& request, const Visitor& visitor);

  Status ForEachFlow(const std::function<void(const v1::Flow&)>& visit) const;
  StatusOr<ServiceMap> BuildMap(std::int64_t from_ns, std::int64_t until_ns) const;

  using Clock = std::chrono::steady_clock;
  struct MapAnswer {
    std::string question;
    std::string json;
    Clock::time_point valid_until;
  };

  api::Service* const service_;
  const Access access_;
  std::mutex flows_mutex_;  // held while flows or events are read
  MapAnswer map_answer_;    // by flows_mutex_: all who look at the present share one
  std::mutex refusal_mutex_;
  api::RefusalRate refusal_rate_;  // by refusal_mutex_
};

}  // namespace sluice::web
