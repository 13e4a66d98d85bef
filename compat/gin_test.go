package compat

import (
	"bytes"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	coder "github.com/coder/websocket"
	"github.com/gin-gonic/gin"
)

// ginProgram is what programs made with gin look like.
func ginProgram(r *run) http.Handler {
	gin.SetMode(gin.ReleaseMode)
	dir := folder(r)
	router := gin.New()
	router.HandleMethodNotAllowed = true
	router.Use(gin.CustomRecoveryWithWriter(io.Discard, func(c *gin.Context, err any) { c.String(http.StatusInternalServerError, "recovered from %v", err) }))
	router.Use(func(c *gin.Context) {
		c.Header("X-Program", "gin")
		c.Next()
		if c.FullPath() != "/endless" {
			r.see("%s %s: %d, %d bytes, written %v", c.Request.Method, c.FullPath(), c.Writer.Status(), c.Writer.Size(), c.Writer.Written())
		}
	})
	router.GET("/users/:name", func(c *gin.Context) {
		c.String(http.StatusOK, "%s %s %s", c.Param("name"), c.DefaultQuery("q", "none"), c.ClientIP())
	})
	router.GET("/any/*rest", func(c *gin.Context) { c.JSON(http.StatusOK, gin.H{"rest": c.Param("rest")}) })
	router.GET("/xml", func(c *gin.Context) { c.XML(http.StatusAccepted, gin.H{"a": 1}) })
	router.GET("/moved", func(c *gin.Context) { c.Redirect(http.StatusFound, "/users/x") })
	router.GET("/empty", func(c *gin.Context) { c.Status(http.StatusNoContent) })
	router.GET("/panic", func(c *gin.Context) { panic("some reason") })
	router.GET("/cookie", func(c *gin.Context) {
		old, err := c.Cookie("a")
		c.SetCookie("a", "new value", 60, "/", "", false, true)
		c.String(http.StatusOK, "%s %v", old, err)
	})
	private := router.Group("/private", gin.BasicAuth(gin.Accounts{"user": "pass"}))
	private.GET("/", func(c *gin.Context) { c.String(http.StatusOK, c.MustGet(gin.AuthUserKey).(string)) })
	router.POST("/bind", func(c *gin.Context) {
		var in struct {
			Name string `json:"name" form:"name" binding:"required"`
			Age  int    `json:"age" form:"age" binding:"gte=0,lte=150"`
		}
		if err := c.ShouldBind(&in); err != nil {
			c.AbortWithStatusJSON(http.StatusBadRequest, gin.H{"error": err.Error()})
			return
		}
		c.IndentedJSON(http.StatusCreated, in)
	})
	router.POST("/upload", func(c *gin.Context) {
		f, err := c.FormFile("file")
		if err != nil {
			c.AbortWithError(http.StatusBadRequest, err)
			return
		}
		to := filepath.Join(r.TempDir(), "saved")
		if err := c.SaveUploadedFile(f, to); err != nil {
			c.AbortWithError(http.StatusInternalServerError, err)
			return
		}
		c.File(to)
	})
	router.GET("/stream", func(c *gin.Context) {
		i := 0
		gone := c.Stream(func(w io.Writer) bool {
			c.SSEvent("count", i)
			i++
			return i < 3
		})
		r.see("client gone %v", gone)
	})
	router.GET("/endless", func(c *gin.Context) {
		gone := c.Stream(func(w io.Writer) bool {
			io.WriteString(w, "tick")
			return true
		})
		r.see("client gone %v", gone)
	})
	router.GET("/reader", func(c *gin.Context) {
		c.DataFromReader(http.StatusOK, int64(len(megabyte)), "application/x-own", bytes.NewReader(megabyte), map[string]string{"X-Extra": "1"})
	})
	router.GET("/ws", func(c *gin.Context) {
		ws, err := coder.Accept(c.Writer, c.Request, nil)
		if err != nil {
			c.Error(err)
			return
		}
		kind, message, err := ws.Read(c)
		if err == nil {
			err = ws.Write(c, kind, bytes.ToUpper(message))
		}
		ws.Close(coder.StatusNormalClosure, "")
		r.see("%v", err)
	})
	router.Static("/files", dir)
	router.StaticFile("/favicon.ico", filepath.Join(dir, "small.txt"))
	router.NoRoute(func(c *gin.Context) { c.String(http.StatusNotFound, "gin has no such page") })
	return router
}

func TestGin(t *testing.T) {
	runCases(t, []testCase{
		{
			name:  "routes, groups and renderings",
			build: ginProgram,
			client: func(r *run) {
				r.asks("/users/alice?q=1", "/any/a/b", "/xml", "/moved", "/empty", "DELETE /xml", "/users/alice/", "/missing", "/private/", "/panic")
				r.ask("GET", "/private/", nil, "Authorization", "Basic dXNlcjpwYXNz")
				r.ask("GET", "/cookie", nil, "Cookie", "a=old")
			},
			sees: `
GET /users/:name: 200, 17 bytes, written true
GET /any/*rest: 200, 15 bytes, written true
GET /xml: 202, 19 bytes, written true
GET /moved: 302, 31 bytes, written true
GET /empty: 204, -1 bytes, written false
DELETE : 405, -1 bytes, written false
GET : 404, 20 bytes, written true
GET /private/: 401, 0 bytes, written true
GET /private/: 200, 4 bytes, written true
GET /cookie: 200, 9 bytes, written true
`,
			gets: `
--- GET /users/alice?q=1
200 OK
Content-Length: 17
Content-Type: text/plain; charset=utf-8
X-Program: gin

alice 1 127.0.0.1
--- GET /any/a/b
200 OK
Content-Length: 15
Content-Type: application/json; charset=utf-8
X-Program: gin

{"rest":"/a/b"}
--- GET /xml
202 Accepted
Content-Length: 19
Content-Type: application/xml; charset=utf-8
X-Program: gin

<map><a>1</a></map>
--- GET /moved
302 Found
Content-Length: 31
Content-Type: text/html; charset=utf-8
Location: /users/x
X-Program: gin

<a href="/users/x">Found</a>.

--- GET /empty
204 No Content
X-Program: gin
--- DELETE /xml
405 Method Not Allowed
Allow: GET
Content-Length: 22
Content-Type: text/plain
X-Program: gin

405 method not allowed
--- GET /users/alice/
301 Moved Permanently
Content-Length: 47
Content-Type: text/html; charset=utf-8
Location: /users/alice

<a href="/users/alice">Moved Permanently</a>.

--- GET /missing
404 Not Found
Content-Length: 20
Content-Type: text/plain; charset=utf-8
X-Program: gin

gin has no such page
--- GET /private/
401 Unauthorized
Content-Length: 0
Www-Authenticate: Basic realm="Authorization Required"
X-Program: gin
--- GET /panic
500 Internal Server Error
Content-Length: 26
Content-Type: text/plain; charset=utf-8
X-Program: gin

recovered from some reason
200 OK
Content-Length: 4
Content-Type: text/plain; charset=utf-8
X-Program: gin

user
200 OK
Content-Length: 9
Content-Type: text/plain; charset=utf-8
Set-Cookie: a=new+value; Path=/; Max-Age=60; HttpOnly
X-Program: gin

old <nil>
`,
		}, {
			name:  "binding",
			build: ginProgram,
			client: func(r *run) {
				r.ask("POST", "/bind", strings.NewReader(`{"name":"bob","age":7}`), "Content-Type", "application/json")
				r.ask("POST", "/bind", strings.NewReader(`{"age":700}`), "Content-Type", "application/json")
				r.ask("POST", "/bind", strings.NewReader(`name=bob&age=8`), "Content-Type", "application/x-www-form-urlencoded")
				r.ask("POST", "/bind", strings.NewReader(`{`), "Content-Type", "application/json")
			},
			sees: `
POST /bind: 201, 35 bytes, written true
POST /bind: 400, 155 bytes, written true
POST /bind: 201, 35 bytes, written true
POST /bind: 400, 26 bytes, written true
`,
			gets: `
201 Created
Content-Length: 35
Content-Type: application/json; charset=utf-8
X-Program: gin

{
    "name": "bob",
    "age": 7
}
400 Bad Request
Content-Length: 155
Content-Type: application/json; charset=utf-8
X-Program: gin

{"error":"Key: 'Name' Error:Field validation for 'Name' failed on the 'required' tag\nKey: 'Age' Error:Field validation for 'Age' failed on the 'lte' tag"}
201 Created
Content-Length: 35
Content-Type: application/json; charset=utf-8
X-Program: gin

{
    "name": "bob",
    "age": 8
}
400 Bad Request
Content-Length: 26
Content-Type: application/json; charset=utf-8
X-Program: gin

{"error":"unexpected EOF"}
`,
		}, {
			name:  "an upload that is saved and sent back",
			build: ginProgram,
			client: func(r *run) {
				var b bytes.Buffer
				form := multipart.NewWriter(&b)
				part, _ := form.CreateFormFile("file", "a.bin")
				part.Write(megabyte)
				form.Close()
				req := r.request("POST", "/upload", &b, "Content-Type", form.FormDataContentType())
				resp, err := r.goClient().Do(req)
				r.get("%v", expect(resp, err, string(megabyte)))
			},
			sees: "POST /upload: 200, 1048576 bytes, written true",
			gets: "<nil>",
		}, {
			name:   "a stream",
			build:  ginProgram,
			client: func(r *run) { r.asks("/stream", "/reader") },
			sees: `
client gone false
GET /stream: 200, 60 bytes, written true
GET /reader: 200, 1048576 bytes, written true
`,
			gets: `
--- GET /stream
200 OK
Cache-Control: no-cache
Content-Type: text/event-stream;charset=utf-8
X-Program: gin
[length unknown]

event:count
data:0

event:count
data:1

event:count
data:2

--- GET /reader
200 OK
Content-Length: 1048576
Content-Type: application/x-own
X-Extra: 1
X-Program: gin

[1048576 bytes, crc32 57688c87]
`,
		}, {
			name:  "a stream whose client leaves",
			build: ginProgram,
			client: func(r *run) {
				c := r.dial()
				c.send("GET /endless HTTP/1.1\nHost: localhost\n\n")
				c.head()
				c.close()
				r.rest()
			},
			sees: "client gone true",
		}, {
			name:  "static files",
			build: ginProgram,
			client: func(r *run) {
				r.asks("/files/small.txt", "/files/big.bin", "HEAD /files/big.bin", "/files/sub/", "/files/missing", "/favicon.ico")
			},
			sees: `
GET /files/*filepath: 200, 13 bytes, written true
GET /files/*filepath: 200, 1048576 bytes, written true
HEAD /files/*filepath: 200, -1 bytes, written false
GET /files/*filepath: 200, 14 bytes, written true
GET /files/*filepath: 404, 20 bytes, written true
GET /favicon.ico: 200, 13 bytes, written true
`,
			gets: `
--- GET /files/small.txt
200 OK
Accept-Ranges: bytes
Content-Length: 13
Content-Type: text/plain; charset=utf-8
Last-Modified: Thu, 29 Feb 2024 12:00:00 GMT
X-Program: gin

a small file
--- GET /files/big.bin
200 OK
Accept-Ranges: bytes
Content-Length: 1048576
Content-Type: application/octet-stream
Last-Modified: Thu, 29 Feb 2024 12:00:00 GMT
X-Program: gin

[1048576 bytes, crc32 57688c87]
--- HEAD /files/big.bin
200 OK
Accept-Ranges: bytes
Content-Length: 1048576
Content-Type: application/octet-stream
Last-Modified: Thu, 29 Feb 2024 12:00:00 GMT
X-Program: gin
--- GET /files/sub/
200 OK
Accept-Ranges: bytes
Content-Length: 14
Content-Type: text/html; charset=utf-8
Last-Modified: Thu, 29 Feb 2024 12:00:00 GMT
X-Program: gin

<h1>index</h1>
--- GET /files/missing
404 Not Found
Content-Length: 20
Content-Type: text/plain; charset=utf-8
X-Program: gin

gin has no such page
--- GET /favicon.ico
200 OK
Accept-Ranges: bytes
Content-Length: 13
Content-Type: text/plain; charset=utf-8
Last-Modified: Thu, 29 Feb 2024 12:00:00 GMT
X-Program: gin

a small file
`,
		}, {
			name:  "WebSocket",
			build: ginProgram,
			client: func(r *run) {
				ws, _, err := coder.Dial(r.Context(), r.url("/ws"), nil)
				if err != nil {
					r.Fatal(err)
				}
				defer ws.CloseNow()
				r.get("%v", ws.Write(r.Context(), coder.MessageText, []byte("hello")))
				_, b, err := ws.Read(r.Context())
				r.get("%s %v", b, err)
				_, _, err = ws.Read(r.Context())
				var closed coder.CloseError
				r.get("%v %d", errors.As(err, &closed), closed.Code)
			},
			sees: `
<nil>
GET /ws: 101, 0 bytes, written true
`,
			gets: `
<nil>
HELLO <nil>
true 1000
`,
		},
	})
}
