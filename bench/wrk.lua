-- Visits the sessions whose cookies are in the file COOKIES, one a line, in turn. It ends with a line that the
-- benchmark reads: requests, errors, microseconds of p50 and p99, microseconds in all.
local requests, last = {}, 0

function init()
  for cookie in io.lines(os.getenv('COOKIES')) do
    requests[#requests + 1] = wrk.format('GET', nil, { Cookie = cookie, Accept = os.getenv('ACCEPT') })
  end
end

function request()
  last = last % #requests + 1
  return requests[last]
end

function done(summary, latency)
  local e = summary.errors
  print(string.format('measured %d %d %d %d %d', summary.requests, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50), latency:percentile(99), summary.duration))
end
