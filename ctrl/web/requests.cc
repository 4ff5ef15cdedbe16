#include "ctrl/web/requests.h"

#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <deque>
#include <nlohmann/json.hpp>

#include "base/printable.h"
#include "ctrl/api/freed_memory.h"
#include "ctrl/api/resource_ids.h"
#include "ctrl/explain/preview.h"
#include "ctrl/web/event_query.h"
#include "ctrl/web/pages.h"
#include "ctrl/web/service_map.h"
#include "telemetry/event/event_filter.h"
#include "telemetry/event/json.h"
#include "telemetry/flow/event_reader.h"

namespace sluice::web {
namespace {

using namespace std::chrono_literals;

// The newest flows that a map or a preview is made from: what the agent remembers is bounded by --history, and the live
// flows are not.
constexpr std::uint32_t kMostFlows = 20000;
constexpr std::size_t kMostProcesses = 2000;
constexpr std::int64_t kLongestSpan = 7 * 24 * 3600;  // seconds
constexpr std::int64_t kUsualSpan = 60;
// A map is made at most once a second, and takes at most a fifth of one thread's time.
constexpr auto kMapAge = 1s;
constexpr int kMapRest = 5;

std::string ErrorJson(const std::string& what) {
  const nlohmann::json json{{"error", what}};
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

HttpReply Refuse(int code, const std::string& what) {
  HttpReply reply{.code = code, .body = ErrorJson(what)};
  if (code == 401) reply.headers["WWW-Authenticate"] = "Bearer";
  return reply;
}

int CodeOf(const Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
      return 400;
    case absl::StatusCode::kPermissionDenied:
      return 403;
    case absl::StatusCode::kNotFound:
      return 404;
    case absl::StatusCode::kFailedPrecondition:
      return 409;
    case absl::StatusCode::kResourceExhausted:
      return 429;
    case absl::StatusCode::kUnavailable:
      return 503;
    default:
      return 500;
  }
}

template <typename Message>
StatusOr<Message> ReadBody(const HttpRequest& request) {
  if (!request.Header("content-type").starts_with("application/json")) {
    return InvalidError("Content-Type {}: expected application/json", PrintableWord(request.Header("content-type")));
  }
  Message message;
  const auto read = google::protobuf::util::JsonStringToMessage(request.body, &message);
  if (read.ok()) return message;
  return InvalidError("the request's body: {}", Printable(read.ToString()));
}

std::int64_t NowNs() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

const Requests::Route Requests::kRoutes[] = {
    {"GET", "/api/session", &Requests::ReadSession},  {"GET", "/api/map", &Requests::ReadMap},
    {"GET", "/api/events", &Requests::ReadEvents},    {"GET", "/api/processes", &Requests::ReadProcesses},
    {"GET", "/api/status", &Requests::ReadStatus},    {"POST", "/api/explain", &Requests::Explain},
    {"POST", "/api/preview", &Requests::MakePreview}, {"POST", "/api/quarantine", &Requests::SetQuarantine}};

HttpReply Requests::Answer(const HttpRequest& request) {
  HttpReply reply;
  if (!request.path.starts_with("/api/")) {
    reply = AnswerPage(request);
  } else {
    const auto* const route = std::find_if(std::begin(kRoutes), std::end(kRoutes),
                                           [&](const Route& one) { return request.path == one.path; });
    if (route == std::end(kRoutes)) {
      reply = Refuse(404, Printable(request.path) + ": there is no such request");
    } else if (request.method != route->method) {
      reply = Refuse(405, fmt::format("{}: the method is {}", route->path, route->method));
      reply.headers["Allow"] = route->method;
    } else {
      reply = AnswerRoute(*route, request);
    }
    reply.headers["Cache-Control"] = "no-store";
  }
  // No script, style, picture or request but our own; no frame; and nothing of the page for another site.
  reply.headers["Content-Security-Policy"] =
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
      "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";
  reply.headers["X-Content-Type-Options"] = "nosniff";
  reply.headers["X-Frame-Options"] = "DENY";
  reply.headers["Referrer-Policy"] = "no-referrer";
  reply.headers["Cross-Origin-Opener-Policy"] = "same-origin";
  reply.headers["Cross-Origin-Resource-Policy"] = "same-origin";
  reply.headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=(), payment=(), usb=()";
  if (request.tls) reply.headers["Strict-Transport-Security"] = "max-age=31536000";
  return reply;
}

HttpReply Requests::AnswerPage(const HttpRequest& request) const {
  if (request.method != "GET" && request.method != "HEAD") return Refuse(405, "only GET and HEAD");
  const PageFile* const file = FindPage(request.path);
  if (file == nullptr) {
    const bool has_page = FindPage("/") != nullptr;
    return Refuse(404, has_page ? Printable(request.path) + ": there is no such file"
                                : "this agent was built without the page: its build found no esbuild");
  }
  const bool gzip = request.Header("accept-encoding").find("gzip") != std::string::npos;
  HttpReply reply{.content_type = std::string(file->content_type),
                  .body = std::string(gzip ? file->gzipped : file->plain)};
  if (gzip) reply.headers["Content-Encoding"] = "gzip";
  reply.headers["Vary"] = "Accept-Encoding";
  // The next agent may bring another page.
  reply.headers["Cache-Control"] = "no-cache";
  return reply;
}

HttpReply Requests::AnswerRoute(const Route& route, const HttpRequest& request) {
  if (IsFromElsewhere(request)) {
    return Refuse(403, "a request needs the header `Sluice-Page: 1`, and must not come from another site's page");
  }
  const Visitor visitor = access_.Identify(request);
  if (visitor.right == Right::kNone) {
    return Refuse(401, "a request needs the header `Authorization: Bearer TOKEN`, with a token of this agent");
  }
  StatusOr<std::string> json = (this->*route.answer)(request, visitor);
  if (!json.ok()) return Refuse(CodeOf(json.status()), Message(json.status()));
  return {.code = 200, .body = *std::move(json)};
}

StatusOr<std::string> Requests::ReadSession(const HttpRequest&, const Visitor& visitor) {
  Session session;
  session.set_node(service_->sources().constants.node());
  session.set_version(service_->sources().constants.version());
  session.set_caller(visitor.name);
  session.set_may_quarantine(visitor.right >= Right::kQuarantine);
  *session.mutable_time() = google::protobuf::util::TimeUtil::NanosecondsToTimestamp(NowNs());
  return telemetry::ToJson(session);
}

Status Requests::ForEachFlow(const std::function<void(const v1::Flow&)>& visit) const {
  const api::FreedMemory freed;
  const api::ServiceSources& sources = service_->sources();
  v1::ObserveRequest::Filter wanted;
  wanted.add_types("flow");
  SL_ASSIGN_OR_RETURN(const auto filter, telemetry::EventFilter::Make(wanted));
  return telemetry::ReadEvents(sources.datapath, &sources.telemetry->assembler(), sources.telemetry->history(), filter,
                               kMostFlows, [&](const v1::Event& event) {
                                 if (event.has_flow()) visit(event.flow());
                                 return true;
                               });
}

StatusOr<ServiceMap> Requests::BuildMap(std::int64_t from_ns, std::int64_t until_ns) const {
  const auto view = service_->sources().controller->view();
  SL_ASSIGN_OR_RETURN(const policy::Quarantine quarantine, service_->sources().controller->quarantine());
  ServiceMapBuilder builder({.from_ns = from_ns, .until_ns = until_ns});
  if (view->compiled.snapshot != nullptr) builder.AddWorkloads(*view->compiled.snapshot, quarantine);
  SL_RETURN_IF_ERROR(ForEachFlow([&](const v1::Flow& flow) { builder.Add(flow); }));
  return builder.Take();
}

// Parameters: seconds (how long the span is), until (its end in nanoseconds since 1970; absent: now).
StatusOr<std::string> Requests::ReadMap(const HttpRequest& request, const Visitor&) {
  std::int64_t seconds = kUsualSpan;
  std::int64_t until_ns = NowNs();
  for (const auto& [name, text] : request.query) {
    if (name == "seconds") {
      SL_ASSIGN_OR_RETURN(seconds, ParseNumber(name, text, 1, kLongestSpan));
    } else if (name == "until") {
      SL_ASSIGN_OR_RETURN(until_ns, ParseNumber(name, text, 0, INT64_MAX));
    } else {
      return InvalidError("{}: there is no such parameter", PrintableWord(name));
    }
  }
  const std::string question = fmt::format("{} {}", seconds, request.Query("until"));
  const std::lock_guard lock(flows_mutex_);
  const auto begin = Clock::now();
  if (map_answer_.question == question && begin < map_answer_.valid_until) return map_answer_.json;
  SL_ASSIGN_OR_RETURN(const ServiceMap map, BuildMap(until_ns - seconds * 1'000'000'000, until_ns));
  SL_ASSIGN_OR_RETURN(std::string json, telemetry::ToJson(map));
  const auto end = Clock::now();
  map_answer_ = {.question = question,
                 .json = std::move(json),
                 .valid_until = end + std::max<Clock::duration>(kMapAge, kMapRest * (end - begin))};
  return map_answer_.json;
}

StatusOr<std::string> Requests::ReadEvents(const HttpRequest& request, const Visitor&) {
  SL_ASSIGN_OR_RETURN(const EventQuery query, ParseEventQuery(request.query));
  SL_ASSIGN_OR_RETURN(const auto filter, telemetry::EventFilter::Make(query.request));
  const api::ServiceSources& sources = service_->sources();
  std::deque<std::string> newest;
  Status problem;
  const std::lock_guard lock(flows_mutex_);
  const api::FreedMemory freed;
  const std::uint32_t read = query.text.empty() ? query.last : kMostFlows;
  SL_RETURN_IF_ERROR(telemetry::ReadEvents(sources.datapath, &sources.telemetry->assembler(),
                                           sources.telemetry->history(), filter, read, [&](const v1::Event& event) {
                                             if (!Contains(event, query.text)) return true;
                                             auto json = telemetry::EventToJson(event);
                                             problem.Update(json.status());
                                             if (!json.ok()) return false;
                                             newest.push_back(*std::move(json));
                                             if (newest.size() > query.last) newest.pop_front();
                                             return true;
                                           }));
  SL_RETURN_IF_ERROR(problem);
  return fmt::format("{{\"events\":[{}]}}", fmt::join(newest, ","));
}

// Parameters: namespace and workload; absent: all.
StatusOr<std::string> Requests::ReadProcesses(const HttpRequest& request, const Visitor&) {
  v1::GetRequest get;
  get.set_kind("processes");
  get.set_namespace_(request.Query("namespace"));
  get.set_name(request.Query("workload"));
  std::vector<std::string> processes;
  Status problem;
  bool more = false;
  SL_RETURN_IF_ERROR(service_->List(get, [&](const v1::Object& object) {
    more = processes.size() >= kMostProcesses;
    if (more) return false;
    auto json = telemetry::ToJson(object.process());
    problem.Update(json.status());
    if (!json.ok()) return false;
    processes.push_back(*std::move(json));
    return true;
  }));
  SL_RETURN_IF_ERROR(problem);
  return fmt::format("{{\"processes\":[{}],\"more\":{}}}", fmt::join(processes, ","), more);
}

StatusOr<std::string> Requests::ReadStatus(const HttpRequest&, const Visitor&) {
  SL_ASSIGN_OR_RETURN(const v1::AgentStatus status, service_->ReadStatus());
  return telemetry::ToJson(status);
}

StatusOr<std::string> Requests::Explain(const HttpRequest& request, const Visitor&) {
  SL_ASSIGN_OR_RETURN(const auto question, ReadBody<v1::ExplainRequest>(request));
  SL_ASSIGN_OR_RETURN(const Suggestions suggestions, service_->SuggestPolicies(question));
  return telemetry::ToJson(suggestions);
}

StatusOr<std::string> Requests::MakePreview(const HttpRequest& request, const Visitor&) {
  SL_ASSIGN_OR_RETURN(const auto question, ReadBody<PreviewRequest>(request));
  v1::ApplyRequest documents;
  v1::Document& document = *documents.add_documents();
  document.set_origin("policy");
  document.set_yaml(question.yaml());
  SL_ASSIGN_OR_RETURN(const api::ReadDocuments read, api::ParseDocuments(documents.documents()));
  const auto view = service_->sources().controller->view();
  if (view->compiled.snapshot == nullptr) {
    return MakeError(absl::StatusCode::kUnavailable, "the agent has no policy in force yet");
  }
  SL_ASSIGN_OR_RETURN(const policy::Quarantine quarantine, service_->sources().controller->quarantine());
  const std::lock_guard lock(flows_mutex_);
  SL_ASSIGN_OR_RETURN(const auto after, explain::WithChange(*view->compiled.snapshot, view->resources, read.resources,
                                                            question.remove()));
  explain::Preview preview(view->compiled.snapshot, after, quarantine);
  SL_RETURN_IF_ERROR(ForEachFlow([&](const v1::Flow& flow) { preview.Add(flow); }));
  Preview answer = preview.answer();
  for (const std::string& notice : read.notices) answer.add_notices(notice);
  for (const policy::Resource& resource : read.resources) answer.add_documents(resource.id.ToString());
  return telemetry::ToJson(answer);
}

StatusOr<std::string> Requests::SetQuarantine(const HttpRequest& request, const Visitor& visitor) {
  SL_ASSIGN_OR_RETURN(const auto question, ReadBody<v1::QuarantineRequest>(request));
  if (visitor.right < Right::kQuarantine) {
    Status refused = MakeError(absl::StatusCode::kPermissionDenied, "{} may only read", visitor.name);
    const std::lock_guard lock(refusal_mutex_);
    if (refusal_rate_.Admit(visitor.share, std::chrono::steady_clock::now())) {
      service_->teller().Tell(question.release() ? "release" : "quarantine", visitor.name, refused, {});
    }
    return refused;
  }
  SL_ASSIGN_OR_RETURN(const v1::QuarantineReply reply, service_->SetQuarantine(question, visitor.name));
  return telemetry::ToJson(reply);
}

}  // namespace sluice::web
