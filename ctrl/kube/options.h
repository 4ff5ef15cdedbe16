// Times and bounds of the client. The defaults are for production; tests shorten them.
#pragma once

#include <chrono>
#include <cstddef>

namespace sluice::kube {

struct Timing {
  using Duration = std::chrono::milliseconds;

  // A watch asks the server for a random timeout between these, in whole seconds.
  Duration watch_min = std::chrono::seconds(300);
  Duration watch_max = std::chrono::seconds(600);
  Duration watchdog = std::chrono::seconds(30);    // how long after that timeout a watch is taken for hung
  Duration short_watch = std::chrono::seconds(1);  // a watch that ends sooner and without an event is a failure

  // After a failure: a random time up to a limit that doubles from the first to the last.
  Duration backoff_first = std::chrono::milliseconds(800);
  Duration backoff_last = std::chrono::seconds(30);
  Duration healthy = std::chrono::seconds(60);           // a watch this long without failure resets the limit
  Duration retry_after_max = std::chrono::seconds(120);  // longer Retry-After values are cut

  Duration connect_timeout = std::chrono::seconds(10);
  Duration header_timeout = std::chrono::seconds(30);  // from the request of a watch to its response header
  Duration list_timeout = std::chrono::seconds(90);    // of one page
  Duration write_timeout = std::chrono::seconds(30);
  // A page that is slower than this for so long is given up. libcurl counts whole seconds.
  std::size_t low_speed_bytes = 1000;  // each second
  std::chrono::seconds low_speed_time = std::chrono::seconds(20);

  Duration credentials = std::chrono::seconds(60);  // between two looks at token, certificate and CA files

  Duration distrust = std::chrono::seconds(30);  // see distrust.h
};

struct Limits {
  std::size_t page_objects = 500;         // `limit` of a list request
  std::size_t object_bytes = 16U << 20U;  // one line of a watch, or a page of one object
  std::size_t page_bytes = 64U << 20U;    // one page of a list, after decompression
  std::size_t objects = 1'000'000;        // of one resource
  std::size_t pages = 100'000;            // of one list
  std::size_t empty_watches = 3;          // in a row without an event; then the resource is listed again
  std::size_t distrusted_lists = 3;       // see distrust.h
  std::size_t queued_writes = 256;        // of each class; the oldest is dropped
  std::size_t running_writes = 4;         // at the same time
  std::size_t write_tries = 3;
};

struct ClientOptions {
  Timing timing;
  Limits limits;
};

}  // namespace sluice::kube
