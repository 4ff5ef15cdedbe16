// A map of maps whose inner maps, all of one shape, are made when they are needed: its pages. So a table of any size
// costs what is in it. Programs that look for a page which is not made find nothing.
//
//   MapPages pages(map_fd, MapPages::ShapeOf(bpf_map), "hook_tests");
//   SL_ASSIGN_OR_RETURN(const int page, pages.Make(3));
//
// Thread-safe. Pages stay until the object and the programs are gone. Does not own the descriptor of the map.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/status.h"

struct bpf_map;

namespace sluice::bpf {

class MapPages {
 public:
  struct Shape {
    std::uint32_t type = 0;  // enum bpf_map_type
    std::uint32_t key_size = 0;
    std::uint32_t value_size = 0;
    std::uint32_t entries = 0;
    std::uint32_t flags = 0;
  };
  // Of the inner maps that a map of maps is declared with. To call before its object is loaded: then libbpf forgets it.
  static Shape ShapeOf(const bpf_map* map);

  MapPages(int map_fd, std::uint32_t pages, const Shape& shape, std::string name);
  MapPages(const MapPages&) = delete;
  MapPages& operator=(const MapPages&) = delete;

  // The page, which is made if there is none yet: that waits for a grace period. OutOfRange: there cannot be so many.
  StatusOr<int> Make(std::uint32_t page);
  // -1: it is not made yet.
  int page_fd(std::uint32_t page) const;

  const Shape& shape() const { return shape_; }
  const std::string& name() const { return name_; }
  std::uint32_t most_pages() const { return most_pages_; }

 private:
  const int map_fd_;
  const std::uint32_t most_pages_;
  const Shape shape_;
  const std::string name_;
  mutable std::mutex mutex_;  // guards pages_
  std::vector<Fd> pages_;
};

}  // namespace sluice::bpf
