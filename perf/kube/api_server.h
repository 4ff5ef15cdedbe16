// An API server for benchmarks: it serves lists in pages and watches of objects that are text, made beforehand, so that
// it takes little of the time that is measured. A watch gets a bookmark each minute and ends when its client asked for
// that, as in Kubernetes. Requests that write are counted and answered 404. HTTP/1.1 without TLS and without
// compression on 127.0.0.1, in the network namespace of the thread that starts it.
//   SL_ASSIGN_OR_RETURN(auto api, ApiServer::Start());
//   api->Put("/api/v1/pods", "shop/web-0", [](std::uint64_t version) { return PodJson(version); });
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "base/status.h"

namespace sluice::perf {

class ApiServer {
 public:
  static StatusOr<std::unique_ptr<ApiServer>> Start();
  ~ApiServer();
  ApiServer(const ApiServer&) = delete;
  ApiServer& operator=(const ApiServer&) = delete;

  // A path that is not known answers 404. This one has no objects yet.
  void Serve(const std::string& path);
  // `text`: the object as JSON with this resourceVersion. A watch sends it at once.
  void Put(const std::string& path, const std::string& key, const std::function<std::string(std::uint64_t)>& text);
  // For --kube.
  std::string Kubeconfig() const;

  struct Traffic {
    std::uint64_t requests = 0;
    std::uint64_t bytes_received = 0;
    std::uint64_t bytes_sent = 0;
  };
  // Since the start, of all connections: HTTP with its headers.
  Traffic traffic() const { return {requests_, bytes_received_, bytes_sent_}; }

 private:
  struct Collection {
    std::map<std::string, std::string> objects;    // by key
    std::map<std::uint64_t, std::string> changes;  // lines of a watch by resourceVersion, since the start
  };
  struct Connection {
    Fd socket;
    std::thread thread;
  };

  explicit ApiServer(Fd listener, int port) : listener_(std::move(listener)), port_(port) {}
  void Accept();
  void Answer(int socket);
  void List(int socket, const std::string& path, const std::string& query);
  bool Watch(int socket, const std::string& path, const std::string& query);  // false: the connection has ended
  bool Receive(int socket, std::string* read);  // appends; false: the connection has ended
  bool Send(int socket, const std::string& bytes);

  const Fd listener_;
  const int port_;
  std::atomic<std::uint64_t> requests_ = 0, bytes_received_ = 0, bytes_sent_ = 0;
  std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  bool stopping_ = false;
  std::uint64_t version_ = 1000;
  std::map<std::string, Collection> collections_;  // by path
  std::list<Connection> connections_;
  std::thread acceptor_;
};

}  // namespace sluice::perf
