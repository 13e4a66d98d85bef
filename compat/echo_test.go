package compat

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
)

// echoProgram is what programs made with echo look like.
func echoProgram(r *run) http.Handler {
	dir := folder(r)
	e := echo.New()
	e.HideBanner = true
	e.Logger.SetOutput(io.Discard)
	e.Pre(middleware.RemoveTrailingSlash())
	e.Use(
		middleware.Recover(),
		middleware.RequestLoggerWithConfig(middleware.RequestLoggerConfig{
			LogMethod: true, LogStatus: true, LogRoutePath: true, LogResponseSize: true, HandleError: true,
			LogValuesFunc: func(c echo.Context, v middleware.RequestLoggerValues) error {
				r.see("%s %s: %d, %d bytes", v.Method, v.RoutePath, v.Status, v.ResponseSize)
				return nil
			},
		}),
		middleware.Secure(),
		middleware.CORSWithConfig(middleware.CORSConfig{AllowOrigins: []string{"http://app.example"}}),
	)
	e.GET("/users/:name", func(c echo.Context) error {
		return c.String(http.StatusOK, fmt.Sprint(c.Param("name"), " ", c.QueryParam("q"), " ", c.RealIP(), " ", c.Path()))
	})
	e.Any("/any/*", func(c echo.Context) error {
		return c.JSONPretty(http.StatusOK, map[string]string{"rest": c.Param("*")}, " ")
	})
	e.GET("/teapot", func(c echo.Context) error { return echo.NewHTTPError(http.StatusTeapot, "short and stout") })
	e.GET("/error", func(c echo.Context) error { return errors.New("some error") })
	e.GET("/panic", func(c echo.Context) error { panic("some reason") })
	e.GET("/empty", func(c echo.Context) error { return c.NoContent(http.StatusNoContent) })
	e.GET("/moved", func(c echo.Context) error { return c.Redirect(http.StatusMovedPermanently, "/users/x") })
	e.GET("/html", func(c echo.Context) error { return c.HTML(http.StatusOK, "<b>bold</b>") })
	private := e.Group("/private", middleware.BasicAuth(func(user, password string, c echo.Context) (bool, error) {
		return user == "user" && password == "pass", nil
	}))
	private.GET("", func(c echo.Context) error { return c.String(http.StatusOK, "inside") })
	e.POST("/bind/:id", func(c echo.Context) error {
		var in struct {
			ID   int    `param:"id" json:"id"`
			Name string `json:"name" form:"name" query:"name"`
		}
		if err := c.Bind(&in); err != nil {
			return err
		}
		return c.JSON(http.StatusCreated, in)
	}, middleware.BodyLimit("1K"))
	e.POST("/upload", func(c echo.Context) error {
		f, err := c.FormFile("file")
		if err != nil {
			return err
		}
		src, err := f.Open()
		if err != nil {
			return err
		}
		defer src.Close()
		return c.Stream(http.StatusOK, "application/x-own", src)
	})
	e.GET("/events", func(c echo.Context) error {
		w := c.Response()
		w.Header().Set(echo.HeaderContentType, "text/event-stream")
		w.WriteHeader(http.StatusOK)
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			w.Flush()
		}
		return nil
	})
	e.GET("/compressed", func(c echo.Context) error {
		return c.String(http.StatusOK, strings.Repeat("compress me ", 1000))
	}, middleware.Gzip())
	e.GET("/slow", func(c echo.Context) error {
		<-c.Request().Context().Done()
		return c.Request().Context().Err()
	}, middleware.ContextTimeout(5*time.Millisecond))
	e.GET("/download", func(c echo.Context) error { return c.Attachment(filepath.Join(dir, "big.bin"), "a name.bin") })
	e.Static("/files", dir)
	return e
}

func TestEcho(t *testing.T) {
	runCases(t, []testCase{
		{
			name:  "routes, groups and renderings",
			build: echoProgram,
			client: func(r *run) {
				r.asks("/users/alice/?q=1", "PUT /any/a/b", "/teapot", "/error", "/panic", "/empty", "/moved", "/html", "DELETE /html", "/missing",
					"/private", "/slow")
				r.ask("GET", "/private", nil, "Authorization", "Basic dXNlcjpwYXNz")
				r.ask("OPTIONS", "/html", nil, "Origin", "http://app.example", "Access-Control-Request-Method", "GET")
			},
			sees: `
GET /users/:name: 200, 30 bytes
PUT /any/*: 200, 19 bytes
GET /teapot: 418, 30 bytes
GET /error: 500, 36 bytes
GET /empty: 204, 0 bytes
GET /moved: 301, 0 bytes
GET /html: 200, 11 bytes
DELETE /html: 405, 33 bytes
GET : 404, 24 bytes
GET /private: 401, 27 bytes
GET /slow: 503, 34 bytes
GET /private: 200, 6 bytes
OPTIONS /html: 204, 0 bytes
`,
			gets: `
--- GET /users/alice/?q=1
200 OK
Content-Length: 30
Content-Type: text/plain; charset=UTF-8
Vary: Origin
X-Content-Type-Options: nosniff
X-Frame-Options: SAMEORIGIN
X-Xss-Protection: 1; mode=block

alice 1 127.0.0.1 /users/:name
--- PUT /any/a/b
200 OK
Content-Length: 19
Content-Type: application/json
Vary: Origin
X-Content-Type-Options: nosniff
X-Frame-Options: SAMEORIGIN
X-Xss-Protection: 1; mode=block

{
 "rest": "a/b"
}
--- GET /teapot
418 I'm a teapot
Content-Length: 30
Content-Type: application/json
Vary: Origin
X-Content-Type-Options: nosniff
X-Frame-Options: SAMEORIGIN
X-Xss-Protection: 1; mode=block

{"message":"short and stout"}
--- GET /error
500 Internal Server Error
Content-Length: 36
Content-Type: application/json
Vary: Origin
X-Content-Type-Options: nosniff
X-Frame-Options: SAMEORIGIN
X-Xss-Protection: 1; mode=block

{"message":"Internal Server Error"}
--- GET /panic
500 Internal Server Error
Content-Length: 36
Content-Type: application/json
Vary: Origin
X-Content-Type-Options: nosniff
X-Frame-Options: SAMEORIGIN
X-Xss-Protection: 1; mode=block

{"message":"Internal Server Error"}
--- GET /empty
204 No Content
Vary: Origin
X-Content-Type-Options: nosniff
X-Frame-Options: SAMEORIGIN
X-Xss-Protection: 1; mode=block
--- GET /moved
301 Moved Permanently
Content-Length: 0
Location: /users/x
Vary: Origin
X-Content-Type-Options: nosniff
X-Frame-Options: SAMEORIGIN
X-Xss-Protection: 1; mode=block
--- GET /html
200 OK
Content-Length: 11
Content-Type: text/html; charset=UTF-8
Vary: Origin
X-Content-Type-Options: nosniff
X-Frame-Options: SAMEORIGIN
X-Xss-Protection: 1; mode=block

<b>bold</b>
--- DELETE /html
405 Method Not Allowed
Allow: OPTIONS, GET
Content-Length: 33
Content-Type: application/json
Vary: Origin
X-Content-Type-Options: nosniff
X-Frame-Options: SAMEORIGIN
X-Xss-Protection: 1; mode=block

{"message":"Method Not Allowed"}
--- GET /missing
404 Not Found
Content-Length: 24
Content-Type: application/json
Vary: Origin
X-Content-Type-Options: nosniff
X-Frame-Options: SAMEORIGIN
X-Xss-Protection: 1; mode=block

{"message":"Not Found"}
--- GET /private
401 Unauthorized
Content-Length: 27
Content-Type: application/json
Vary: Origin
Www-Authenticate: basic realm="Restricted"
X-Content-Type-Options: nosniff
X-Frame-Options: SAMEORIGIN
X-Xss-Protection: 1; mode=block

{"message":"Unauthorized"}
--- GET /slow
503 Service Unavailable
Content-Length: 34
Content-Type: application/json
Vary: Origin
X-Content-Type-Options: nosniff
X-Frame-Options: SAMEORIGIN
X-Xss-Protection: 1; mode=block

{"message":"Service Unavailable"}
200 OK
Content-Length: 6
Content-Type: text/plain; charset=UTF-8
Vary: Origin
X-Content-Type-Options: nosniff
X-Frame-Options: SAMEORIGIN
X-Xss-Protection: 1; mode=block

inside
204 No Content
Access-Control-Allow-Methods: OPTIONS, GET
Access-Control-Allow-Origin: http://app.example
Allow: OPTIONS, GET
Vary: Origin
Vary: Access-Control-Request-Method
Vary: Access-Control-Request-Headers
X-Content-Type-Options: nosniff
X-Frame-Options: SAMEORIGIN
X-Xss-Protection: 1; mode=block
`,
		}, {
			name:  "binding",
			build: echoProgram,
			client: func(r *run) {
				r.ask("POST", "/bind/7", strings.NewReader(`{"name":"bob"}`), "Content-Type", "application/json")
				r.ask("POST", "/bind/7", strings.NewReader(`name=bob`), "Content-Type", "application/x-www-form-urlencoded")
				r.ask("POST", "/bind/x", strings.NewReader(`{}`), "Content-Type", "application/json")
				r.ask("POST", "/bind/7", strings.NewReader(`{"name":7}`), "Content-Type", "application/json")
				r.ask("POST", "/bind/7", strings.NewReader(`{"name":"`+strings.Repeat("x", 2000)+`"}`), "Content-Type", "application/json")
			},
			sees: `
POST /bind/:id: 201, 22 bytes
POST /bind/:id: 201, 22 bytes
POST /bind/:id: 400, 62 bytes
POST /bind/:id: 400, 86 bytes
POST /bind/:id: 413, 39 bytes
`,
			gets: `
201 Created
Content-Length: 22
Content-Type: application/json
Vary: Origin
X-Content-Type-Options: nosniff
X-Frame-Options: SAMEORIGIN
X-Xss-Protection: 1; mode=block

{"id":7,"name":"bob"}
201 Created
Content-Length: 22
Content-Type: application/json
Vary: Origin
X-Content-Type-Options: nosniff
X-Frame-Options: SAMEORIGIN
X-Xss-Protection: 1; mode=block

{"id":7,"name":"bob"}
400 Bad Request
Content-Length: 62
Content-Type: application/json
Vary: Origin
X-Content-Type-Options: nosniff
X-Frame-Options: SAMEORIGIN
X-Xss-Protection: 1; mode=block

{"message":"strconv.ParseInt: parsing \"x\": invalid syntax"}
400 Bad Request
Content-Length: 86
Content-Type: application/json
Vary: Origin
X-Content-Type-Options: nosniff
X-Frame-Options: SAMEORIGIN
X-Xss-Protection: 1; mode=block

{"message":"Unmarshal type error: expected=string, got=number, field=name, offset=9"}
413 Request Entity Too Large
Content-Length: 39
Content-Type: application/json
Vary: Origin
X-Content-Type-Options: nosniff
X-Frame-Options: SAMEORIGIN
X-Xss-Protection: 1; mode=block

{"message":"Request Entity Too Large"}
`,
		}, {
			name:  "an upload that is streamed back",
			build: echoProgram,
			client: func(r *run) {
				var b bytes.Buffer
				form := multipart.NewWriter(&b)
				part, _ := form.CreateFormFile("file", "a.bin")
				part.Write(megabyte)
				form.Close()
				r.ask("POST", "/upload", &b, "Content-Type", form.FormDataContentType())
			},
			sees: "POST /upload: 200, 1048576 bytes",
			gets: `
200 OK
Content-Type: application/x-own
Vary: Origin
X-Content-Type-Options: nosniff
X-Frame-Options: SAMEORIGIN
X-Xss-Protection: 1; mode=block
[length unknown]

[1048576 bytes, crc32 57688c87]
`,
		}, {
			name:   "a stream",
			build:  echoProgram,
			client: func(r *run) { r.asks("/events") },
			sees:   "GET /events: 200, 27 bytes",
			gets: `
--- GET /events
200 OK
Content-Type: text/event-stream
Vary: Origin
X-Content-Type-Options: nosniff
X-Frame-Options: SAMEORIGIN
X-Xss-Protection: 1; mode=block
[length unknown]

data: 0

data: 1

data: 2
`,
		}, {
			name:  "compression",
			build: echoProgram,
			client: func(r *run) {
				client := r.goClient()
				client.Transport.(*http.Transport).DisableCompression = false
				r.do(client, r.request("GET", "/compressed", nil))
			},
			sees: "GET /compressed: 200, 12000 bytes",
			gets: `
200 OK
Content-Type: text/plain; charset=UTF-8
Vary: Origin
Vary: Accept-Encoding
X-Content-Type-Options: nosniff
X-Frame-Options: SAMEORIGIN
X-Xss-Protection: 1; mode=block
[length unknown]

[12000 bytes, crc32 0ff74943]
`,
		}, {
			name:  "static files and downloads",
			build: echoProgram,
			client: func(r *run) {
				r.asks("/files/small.txt", "/files/big.bin", "/files/sub/page.html", "/files/missing", "/download")
				r.ask("GET", "/download", nil, "Range", "bytes=100000-299999")
			},
			sees: `
GET /files*: 200, 13 bytes
GET /files*: 200, 1048576 bytes
GET /files*: 200, 13 bytes
GET /files*: 404, 24 bytes
GET /download: 200, 1048576 bytes
GET /download: 206, 200000 bytes
`,
			gets: `
--- GET /files/small.txt
200 OK
Accept-Ranges: bytes
Content-Length: 13
Content-Type: text/plain; charset=utf-8
Last-Modified: Thu, 29 Feb 2024 12:00:00 GMT
Vary: Origin
X-Content-Type-Options: nosniff
X-Frame-Options: SAMEORIGIN
X-Xss-Protection: 1; mode=block

a small file
--- GET /files/big.bin
200 OK
Accept-Ranges: bytes
Content-Length: 1048576
Content-Type: application/octet-stream
Last-Modified: Thu, 29 Feb 2024 12:00:00 GMT
Vary: Origin
X-Content-Type-Options: nosniff
X-Frame-Options: SAMEORIGIN
X-Xss-Protection: 1; mode=block

[1048576 bytes, crc32 57688c87]
--- GET /files/sub/page.html
200 OK
Accept-Ranges: bytes
Content-Length: 13
Content-Type: text/html; charset=utf-8
Last-Modified: Thu, 29 Feb 2024 12:00:00 GMT
Vary: Origin
X-Content-Type-Options: nosniff
X-Frame-Options: SAMEORIGIN
X-Xss-Protection: 1; mode=block

<h1>page</h1>
--- GET /files/missing
404 Not Found
Content-Length: 24
Content-Type: application/json
Vary: Origin
X-Content-Type-Options: nosniff
X-Frame-Options: SAMEORIGIN
X-Xss-Protection: 1; mode=block

{"message":"Not Found"}
--- GET /download
200 OK
Accept-Ranges: bytes
Content-Disposition: attachment; filename="a name.bin"
Content-Length: 1048576
Content-Type: application/octet-stream
Last-Modified: Thu, 29 Feb 2024 12:00:00 GMT
Vary: Origin
X-Content-Type-Options: nosniff
X-Frame-Options: SAMEORIGIN
X-Xss-Protection: 1; mode=block

[1048576 bytes, crc32 57688c87]
206 Partial Content
Accept-Ranges: bytes
Content-Disposition: attachment; filename="a name.bin"
Content-Length: 200000
Content-Range: bytes 100000-299999/1048576
Content-Type: application/octet-stream
Last-Modified: Thu, 29 Feb 2024 12:00:00 GMT
Vary: Origin
X-Content-Type-Options: nosniff
X-Frame-Options: SAMEORIGIN
X-Xss-Protection: 1; mode=block

[200000 bytes, crc32 a6262e21]
`,
		},
	})
}
