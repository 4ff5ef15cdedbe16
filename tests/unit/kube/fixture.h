// What tests of the Kubernetes client share: a transport that a test answers by hand, a sink that remembers, and JSON.
#pragma once

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <simdjson.h>

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "ctrl/kube/http.h"
#include "ctrl/kube/resource_spec.h"
#include "ctrl/kube/sink.h"

namespace sluice::kube {

// An object "NS/NAME" with a uid that belongs to its name and generation.
inline std::string ObjectJson(const std::string& name, int version, const std::string& uid = "") {
  return fmt::format(R"({{"metadata":{{"namespace":"shop","name":"{}","uid":"{}","resourceVersion":"{}"}}}})", name,
                     uid.empty() ? "uid-" + name : uid, version);
}
inline std::string ListJson(int version, const std::vector<std::string>& objects, const std::string& next = "") {
  return fmt::format(R"({{"kind":"List","metadata":{{"resourceVersion":"{}","continue":"{}"}},"items":[{}]}})", version,
                     next, fmt::join(objects, ","));
}
inline std::string EventJson(const std::string& type, const std::string& object) {
  return fmt::format(R"({{"type":"{}","object":{}}})", type, object) + "\n";
}
inline std::string BookmarkJson(int version) {
  return EventJson("BOOKMARK", fmt::format(R"({{"metadata":{{"resourceVersion":"{}"}}}})", version));
}
inline std::string StatusJson(int code, const std::string& reason, int retry_after = 0) {
  return fmt::format(
      R"({{"kind":"Status","status":"Failure","reason":"{}","message":"told so","details":{{"retryAfterSeconds":{}}},"code":{}}})",
      reason, retry_after, code);
}

// Thread-safe. Objects whose names begin with "bad" are refused.
class RecordingSink : public Sink {
 public:
  StatusOr<Converted> Convert(const ResourceSpec&, const ObjectMeta& meta, const simdjson::dom::element&) override {
    const std::lock_guard lock(mutex_);
    ++converted_;
    if (meta.uid.starts_with("bad")) return InvalidError("{} is bad", meta.key.ToString());
    return std::make_shared<const std::string>(meta.key.name + "@" + meta.resource_version);
  }
  void Apply(const ResourceSpec& spec, Batch batch) override {
    const std::lock_guard lock(mutex_);
    std::string line = batch.is_absent ? "list absent" : batch.is_list ? "list" : "events";
    for (const Change& change : batch.changes) {
      const std::string& name = change.meta.key.name;
      switch (change.kind) {
        case Change::Kind::kUpsert:
          objects_[spec.name][name] = *static_cast<const std::string*>(change.value.get());
          line += " +" + objects_[spec.name][name];
          break;
        case Change::Kind::kDelete:
          objects_[spec.name].erase(name);
          line += " -" + name;
          break;
        case Change::Kind::kRefused:
          line += " !" + Message(change.refused);
          break;
      }
    }
    lines_[spec.name].push_back(line);
  }
  // The batches of a resource: "list +a@1 -b", "events !shop/c is bad".
  std::vector<std::string> lines(const std::string& resource = "pods") const {
    const std::lock_guard lock(mutex_);
    const auto found = lines_.find(resource);
    return found == lines_.end() ? std::vector<std::string>() : found->second;
  }
  std::map<std::string, std::string> objects(const std::string& resource = "pods") const {
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find(resource);
    return found == objects_.end() ? std::map<std::string, std::string>() : found->second;
  }
  std::size_t converted() const {
    const std::lock_guard lock(mutex_);
    return converted_;
  }

 private:
  mutable std::mutex mutex_;
  std::size_t converted_ = 0;
  std::map<std::string, std::vector<std::string>> lines_;
  std::map<std::string, std::map<std::string, std::string>> objects_;
};

// Requests wait here until the test answers them.
class FakeTransport : public Transport {
 public:
  struct Sent {
    std::uint64_t id = 0;
    HttpRequest request;
    HttpHandler* handler = nullptr;
    bool answered = false;
  };

  std::uint64_t Start(const HttpRequest& request, HttpHandler* handler) override {
    sent_.push_back({.id = ++last_id_, .request = request, .handler = handler});
    return last_id_;
  }
  void Cancel(std::uint64_t id) override {
    ++cancelled_;
    std::erase_if(sent_, [&](const Sent& sent) { return sent.id == id; });
  }
  bool RereadCredentials() override {
    ++rereads_;
    return token_changes_;
  }

  bool idle() const { return sent_.empty(); }
  const HttpRequest& request() const { return sent_.front().request; }
  bool answered() const { return sent_.front().answered; }  // the head has come
  std::size_t cancelled() const { return cancelled_; }
  std::size_t rereads() const { return rereads_; }
  void set_token_changes(bool changes) { token_changes_ = changes; }

  // Of the oldest request that has not ended.
  void Head(int code, const std::string& type = "application/json", const std::string& retry_after = "") {
    sent_.front().answered = true;
    sent_.front().handler->OnHead({.code = code, .content_type = type, .retry_after = retry_after});
  }
  bool Body(const std::string& data) { return sent_.front().handler->OnBody(data); }
  void End(const Status& status = OkStatus()) {
    const Sent sent = sent_.front();
    sent_.pop_front();
    sent.handler->OnEnd(status);
  }

 private:
  std::uint64_t last_id_ = 0;
  std::deque<Sent> sent_;
  std::size_t cancelled_ = 0;
  std::size_t rereads_ = 0;
  bool token_changes_ = false;
};

}  // namespace sluice::kube
